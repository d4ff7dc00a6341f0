import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { expect, onTestFinished, test } from "vitest";
import { expectCleanPrefix, makeLedger, startWriter } from "../support/sqlite.ts";
import { BIN, errorOf, Place } from "./command.ts";

async function shop(): Promise<Place> {
  const place = await Place.make();
  onTestFinished(() => place[Symbol.asyncDispose]());
  makeLedger(place.at("app.db"));
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    sqlite: { path: "app.db" },
  });
  return place;
}

interface Status {
  readonly archive: { ok: boolean; lagBytes: number; lastSegment: string | null } | null;
  readonly shipping: { app?: Readonly<Record<string, unknown>> } | null;
  readonly lastDrill: { ok: boolean } | null;
  readonly alerts: readonly { id: string }[];
}

/** `watch --quiet` as a process of its own, and what it has said on stderr by now. */
function startWatch(place: Place) {
  const child = spawn(process.execPath, [BIN, "watch", "--quiet"], {
    cwd: place.path,
    env: { ...process.env, ...place.environment },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let text = "";
  child.stderr.on("data", (chunk) => {
    text += chunk;
  });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  return { child, said: () => text };
}

async function statusOf(place: Place): Promise<Status | undefined> {
  const { stdout } = await place.run(["status", "--json"]);
  const status = JSON.parse(stdout);
  return "error" in status ? undefined : status;
}

test("watch ships until it is told to stop, status says how it stands, and restore gives any instant of it", async () => {
  const place = await shop();
  const writer = await startWriter(place.at("app.db"), { rate: 200 });
  const { child, said } = startWatch(place);
  await expect
    .poll(async () => (await statusOf(place))?.archive, { interval: 200 })
    .toMatchObject({ ok: true, lastSegment: expect.any(String) });
  // It was begun anew, as the process that its caller knows.
  const environment = await readFile(`/proc/${child.pid}/environ`, "utf8");
  expect(environment.split("\0")).toContain("MALLOC_MMAP_THRESHOLD_=262144");
  const running = await statusOf(place);
  const number = expect.any(Number);
  expect(running?.archive).toMatchObject({ lagSeconds: number, lagBytes: number });
  expect(running?.shipping?.app).toMatchObject({
    ...{ state: "shipping", alive: true, walBytes: number, fallbacks: 0, holes: [] },
    gates: { count: number, p50: number, p99: number, worst: number },
    requests: { create: number, read: number, stat: number, list: number, remove: number },
  });
  const { stdout: shown } = await place.run(["status"]);
  for (const line of [/^WAL +[\d.]+ [KM]?i?B$/m, /^writers held +/m, /^requests +\d+ create, /m])
    expect(shown).toMatch(line);
  expect(running?.alerts.map(({ id }) => id)).toEqual(["no-drill"]);

  const second = await place.run(["watch", "--json"]);
  expect(second.status).toBe(4);
  expect(errorOf(second).code).toBe("LOCKED");

  await writer.commits(100);
  await writer.stop();
  const acknowledged = await writer.acknowledged();
  // A busy machine may not ship the rest within the two seconds of a stop; then the command says so instead.
  await expect
    .poll(async () => (await statusOf(place))?.archive, { interval: 200 })
    .toMatchObject({ lagBytes: 0 });
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  expect(await gone).toEqual([143, null]);
  expect(said()).toContain("stopped by SIGTERM");
  expect((await statusOf(place))?.alerts.map(({ id }) => id)).toContain("watch-stopped");

  const { stdout } = await place.run(["list", "--json"]);
  const { windows } = JSON.parse(stdout);
  expect(windows).toHaveLength(1);
  const [{ from, to }] = windows;
  expect(Date.parse(to)).toBeGreaterThan(Date.parse(from));
  const latest = await place.run(["restore", "--to", "latest", "--json"]);
  expect(latest.status).toBe(0);
  expect(expectCleanPrefix(place.at("latest", "app.db"))).toBe(acknowledged);
  const middle = new Date((Date.parse(from) + Date.parse(to)) / 2);
  const at = await place.run(["restore", "--to", "middle", "--at", middle.toISOString(), "--json"]);
  expect(Date.parse(JSON.parse(at.stdout).recoveredTo)).toBeLessThanOrEqual(middle.getTime());
  expect(expectCleanPrefix(place.at("middle", "app.db"))).toBeLessThan(acknowledged);
  expect((await place.run(["verify", "--deep"])).status).toBe(0);
  expect((await place.run(["drill", "--at", middle.toISOString()])).status).toBe(0);
  expect((await statusOf(place))?.lastDrill?.ok).toBe(true);
});

test("watch --quiet says on stderr that the repository is away, and that it is back", async () => {
  const place = await shop();
  const { child, said } = startWatch(place);
  const options = { interval: 200 };
  await expect.poll(async () => (await statusOf(place))?.archive?.ok, options).toBe(true);
  await rename(place.at("repository"), place.at("away"));
  await writeFile(place.at("repository"), "");
  const writer = await startWriter(place.at("app.db"), { rate: 50 });
  await expect.poll(said, options).toContain("app: nothing is shipped since ");
  await rm(place.at("repository"));
  await rename(place.at("away"), place.at("repository"));
  await expect.poll(said, options).toContain("; nothing is lost\n");
  await writer.stop();
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
  expect(said().match(/nothing is shipped/g)).toHaveLength(1);
});
