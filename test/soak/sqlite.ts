import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { WatchNotes } from "@lifeboat/core";
import Database from "better-sqlite3";
import { execa } from "execa";
import { makeLedger } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

/**
 * `npm run soak:sqlite -- --seed N --rounds 2000`: a writer with a ledger and a watch, killed at random instants in any
 * order, among everything that an app does to its file. After each round the latest state and a random instant are
 * restored: each must be a whole prefix of the ledger, never with a row from after its instant. Exits 1 when one is wrong.
 */
const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    rounds: { type: "string", default: "500" },
    rate: { type: "string", default: "300" },
  },
});
let state = (Number(values.seed) % 2_147_483_646) + 1;
/** From 0 to 1; a seed gives the same ones again (Lehmer's generator). */
function random(): number {
  state = (state * 48_271) % 2_147_483_647;
  return state / 2_147_483_647;
}
const oneOf = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;

const folder = await mkdtemp(join(tmpdir(), "lifeboat-soak-"));
const app = new SqliteApp(folder, join(folder, "app.db"));
const ledger = join(folder, "ledger");
const copy = join(folder, "copy");
const pageSize = oneOf([512, 4096, 65536]);
makeLedger(app.path, { pageSize });

const started = new Set<ChildProcess>();
function start(script: string, flags: readonly string[]): ChildProcess {
  const program = fileURLToPath(new URL(`../support/${script}`, import.meta.url));
  const child = spawn(process.execPath, [program, ...flags], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  started.add(child);
  child.once("exit", () => started.delete(child));
  return child;
}
// Whoever stops it leaves nothing running.
process.on("exit", () => {
  for (const child of started) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));
const startWriter = () =>
  start("sqlite-writer.ts", [
    `--database=${app.path}`,
    `--ledger=${ledger}`,
    `--rate=${values.rate}`,
  ]);
const startWatch = () =>
  start("sqlite-watch-process.ts", [
    `--database=${app.path}`,
    `--repository=${join(folder, "repository")}`,
    `--state=${join(folder, "memory")}`,
  ]);
async function stop(child: ChildProcess, how: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const gone = once(child, "exit");
  child.kill(how);
  return (await gone)[0] as number | null;
}

/** Resolves once the watch that runs has a backup that its lineage starts from. */
async function isShipping(): Promise<void> {
  const until = Date.now() + 120_000;
  while (Date.now() < until) {
    const { folder: place, manifests } = await app.manifests();
    const note = await new WatchNotes(join(folder, "memory")).read(place);
    const begun = manifests.map(
      ({ details }) => (details.log as { lineage: string } | null)?.lineage,
    );
    if (
      note?.alive &&
      note.facts.state === "shipping" &&
      begun.includes(note.facts.lineage as string)
    )
      return;
    await sleep(50);
  }
  throw new Error("the watch did not begin to ship within two minutes");
}

const acknowledged = async () =>
  (await readFile(ledger, "utf8"))
    .split("\n")
    .slice(0, -1)
    .map((line) => line.split(" ").map(Number) as [seq: number, at: number]);

/** How far a copy goes. @throws Error when it is no whole prefix */
function prefixOf(path: string): number {
  const database = new Database(path, { fileMustExist: true, readonly: true });
  try {
    const ask = (sql: string) => database.prepare(sql).pluck().get();
    const found = [
      ask("SELECT count(*) FROM ledger"),
      ask("SELECT max(seq) FROM ledger"),
      ask("SELECT v FROM counter"),
    ];
    const check = ask("PRAGMA integrity_check");
    if (check !== "ok" || new Set(found).size !== 1)
      throw new Error(`no prefix: rows, newest, counter ${found.join(", ")}; ${check}`);
    return found[0] as number;
  } finally {
    database.close();
  }
}

async function restored(at?: Date): Promise<number> {
  await rm(copy, { recursive: true, force: true });
  const target = at
    ? ({ kind: "time", at, exclusive: false } as const)
    : ({ kind: "latest" } as const);
  const { path } = await app.restore(copy, { target });
  return prefixOf(path);
}

const faults: string[] = [];
const counts: Record<string, number> = {};
let writer = startWriter();
await sleep(300);
let watch = startWatch();
await isShipping();
let shipped = 0;

const sql = (statement: string) =>
  execa("sqlite3", ["-cmd", ".timeout 5000", app.path, statement], { reject: false });
const bystander = async (behaviour: string) => {
  const child = start("sqlite-bystander.ts", [app.path, behaviour]);
  await sleep(random() * 1500);
  await stop(child, "SIGKILL");
};
const actions: Record<string, () => Promise<unknown>> = {
  async "kill the writer"() {
    await stop(writer, "SIGKILL");
    writer = startWriter();
  },
  async "close the app last"() {
    writer.stdin?.end();
    await once(writer, "exit");
    await sleep(random() * 300);
    writer = startWriter();
  },
  async "kill the watch"() {
    await stop(watch, "SIGKILL");
    await sleep(random() * 1500);
    watch = startWatch();
    await isShipping();
  },
  async "stop both: nothing is missing"() {
    writer.stdin?.end();
    await once(writer, "exit");
    const code = await stop(watch, "SIGTERM");
    const newest = await restored();
    const [last] = (await acknowledged()).at(-1) ?? [0];
    if (code !== 0 || newest !== last)
      throw new Error(`stopped with ${code}, ${newest} of ${last} commits are there`);
    writer = startWriter();
    watch = startWatch();
    await isShipping();
  },
  checkpoint: () =>
    sql(`PRAGMA wal_checkpoint(${oneOf(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])})`),
  vacuum: () => sql("VACUUM"),
  "create and drop": () =>
    sql("DROP TABLE IF EXISTS other; CREATE TABLE other AS SELECT * FROM ledger"),
  "a spilled transaction that is rolled back": () => bystander("spill"),
  "a long read": () => bystander("read"),
  "checkpoints without an end": () => bystander("checkpoint"),
};

async function round(): Promise<void> {
  const name = oneOf(Object.keys(actions));
  counts[name] = (counts[name] ?? 0) + 1;
  await sleep(random() * 1200);
  await actions[name]?.();
  const newest = await restored();
  if (newest < shipped)
    throw new Error(`after "${name}": ${newest}, and ${shipped} was there before`);
  shipped = newest;
  const { folder: place, manifests } = await app.manifests();
  const { from, to } = oneOf(await app.engine.windows(place, manifests));
  const at = Date.parse(from) + random() * (Date.parse(to) - Date.parse(from));
  const then = await restored(new Date(at));
  // The one before was acknowledged before the newest was begun.
  const before = (await acknowledged()).find(([seq]) => seq === then - 1);
  if (before && before[1] > at + 1) throw new Error(`after "${name}": ${then} is from after ${at}`);
}

const rounds = Number(values.rounds);
process.stdout.write(`seed ${values.seed}, ${rounds} rounds, pages of ${pageSize} bytes\n`);
const startedAt = Date.now();
try {
  for (let done = 0; done < rounds; done++) {
    try {
      await round();
    } catch (thrown) {
      faults.push(`round ${done}: ${thrown}`);
      process.stdout.write(`\n${faults.at(-1)}\n`);
      if (faults.length > 5) break;
    }
    process.stdout.write(`\r${done + 1} of ${rounds}, ${faults.length} wrong`);
  }
} finally {
  for (const child of started) await stop(child, "SIGKILL");
}
const { problems } = await app.verify(true);
const seconds = Math.round((Date.now() - startedAt) / 1000);
process.stdout.write(
  `\n${JSON.stringify({ seconds, commits: shipped, counts, faults, problems }, null, 2)}\n`,
);
if (faults.length === 0) await rm(folder, { recursive: true, force: true });
else process.stdout.write(`kept: ${folder}\n`);
process.exitCode = faults.length + problems.length > 0 ? 1 : 0;
