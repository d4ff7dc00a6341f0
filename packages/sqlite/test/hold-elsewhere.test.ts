import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { newLineage } from "../src/log/name.ts";
import { fileAt } from "../src/watch/file-at.ts";
import { ShippedElsewhere } from "../src/watch/hold-elsewhere.ts";

const LINEAGE = newLineage(new Date());
const WANTED = { patienceMs: 60_000, signal: new AbortController().signal };

/** A process that listens as a watch does and says what it is told to: a document, text that is none, or `end`, by which it ends. */
async function answering(...answers: (object | string)[]) {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-elsewhere-"));
  const database = join(folder, "app.db");
  await writeFile(database, "");
  const asked: unknown[] = [];
  const { promise: left, resolve: leave } = Promise.withResolvers<"left">();
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("close", () => leave("left"));
    socket.on("data", (word) => {
      asked.push(JSON.parse(String(word)));
      const answer = answers.shift();
      if (answer === "end") socket.destroy();
      else socket.write(`${typeof answer === "string" ? answer : JSON.stringify(answer)}\n`);
    });
  });
  const path = join(folder, "hold.sock");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const watch = await ShippedElsewhere.find(path, database);
  if (!watch) throw new Error("nobody listens");
  onTestFinished(async () => {
    watch.close();
    server.close();
    await rm(folder, { recursive: true });
  });
  return { watch, answers, asked, left, held: heldAnswer(fileAt(database)) };
}

function heldAnswer(identity: string | undefined) {
  const facts = { pageSize: 4096, pageCount: 1, journalMode: "wal", applicationId: 0 };
  return {
    ...{ held: true, lineage: LINEAGE, identity, consistentAt: new Date().toISOString() },
    ...{ place: { salt1: 1, salt2: 2, frames: 0, checksum1: 3, checksum2: 4 }, gateMs: 7 },
    facts: { ...facts, userVersion: 0, sqliteVersion: "3.54.1" },
  };
}

test("a file that another process holds is held until it is released, for as long as that one says so", async () => {
  const { watch, answers, asked, left, held } = await answering();
  answers.push(held, { still: true }, { still: false }, {});
  const file = await watch.hold(WANTED);
  expect(file).toMatchObject({ way: "pin", place: held.place, facts: held.facts });
  expect(watch.lineage).toBe(LINEAGE);
  await file?.confirm?.();
  for (const _ of ["says no", "says something else"])
    await expect(file?.confirm?.()).rejects.toMatchObject({ code: "HOLD_LOST" });
  expect(asked).toEqual([
    { ask: "hold", patienceMs: WANTED.patienceMs },
    ...Array(3).fill({ ask: "still" }),
  ]);
  expect(file?.release()).toBe(7);
  expect(await left).toBe("left");
  await expect(file?.confirm?.()).rejects.toMatchObject({ code: "HOLD_LOST" });
});

test("another file than the one that is to be backed up is not taken for held", async () => {
  const { watch, answers, left, held } = await answering();
  answers.push({ ...held, identity: "1:1" });
  expect(await watch.hold(WANTED)).toBeUndefined();
  expect(watch).toMatchObject({ lineage: null, isGone: false });
  expect(await left).toBe("left");
});

test.each([
  ["whose log a copy in another way lies in as well", LINEAGE, LINEAGE],
  ["that names no lineage", null, null],
  ["that names none that could be one", "../elsewhere", null],
])("of a watch that could not hold the file, %s, the lineage is known", async (_, said, known) => {
  const { watch, left } = await answering({ held: false, lineage: said });
  expect(await watch.hold(WANTED)).toBeUndefined();
  expect(watch).toMatchObject({ lineage: known, isGone: false });
  expect(await left).toBe("left");
});

test.each([["end"], ["no document"]])(
  "a watch that ends, or says what none would, is gone and holds nothing: %s",
  async (answer) => {
    const { watch, left } = await answering(answer);
    expect(await watch.hold(WANTED)).toBeUndefined();
    expect(watch).toMatchObject({ lineage: null, isGone: true });
    expect(await left).toBe("left");
    expect(await watch.isSilent()).toBe(false);
  },
);

test("of what a watch says of an idle database only that is believed which could be so", async () => {
  const idle = { lineage: LINEAGE, number: 3, until: new Date().toISOString() };
  const { watch } = await answering({ idle }, { idle: { ...idle, number: "3" } }, { idle: null });
  expect(await watch.idle()).toEqual(idle);
  expect(await watch.idle()).toBeUndefined();
  expect(await watch.idle()).toBeUndefined();
});
