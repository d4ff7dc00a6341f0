import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type ReverseCase, reverseCase } from "./reverse-case.ts";

const FOLLOW = fileURLToPath(new URL("./follow-in-process.ts", import.meta.url));
const WRITER = fileURLToPath(new URL("./moving-writer.ts", import.meta.url));
const KILLS = 6;

let cluster: TestCluster;
let one: ReverseCase;
beforeAll(async () => {
  cluster = await startCluster();
  one = await reverseCase(
    cluster,
    `CREATE TABLE ledger(seq INTEGER PRIMARY KEY, body TEXT);
     CREATE TABLE counters(id INTEGER PRIMARY KEY, v INTEGER);
     CREATE TABLE scratch(v TEXT);
     CREATE TABLE copies(v TEXT);
     INSERT INTO counters VALUES (1000000, 0)`,
  );
  await one.cutOver();
  // Without a key every entry counts: one that is followed twice leaves a copy too many.
  await one.query(
    `CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS
     $$ BEGIN INSERT INTO public.copies VALUES ('copy'); RETURN NULL; END $$`,
  );
  await one.query(
    "CREATE TRIGGER copy AFTER INSERT ON public.ledger FOR EACH ROW EXECUTE FUNCTION copy()",
  );
});
afterAll(async () => {
  await one.end();
  await cluster.stop();
});

const environment = () => ({ ...process.env, LIFEBOAT_TEST_URL: one.url });

it("a reverse sync that is killed at random instants neither loses nor repeats a change", async () => {
  const writer = spawn(
    process.execPath,
    [WRITER, "--database", one.path, "--ledger", `${one.path}.ledger`, "--base", "1000000"],
    { env: environment(), stdio: ["pipe", "pipe", "inherit"] },
  );
  await once(writer.stdout, "data");
  for (let kills = 0; kills < KILLS; kills++) {
    const child = spawn(process.execPath, [FOLLOW, one.path], {
      env: environment(),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exit = once(child, "exit");
    await once(child.stdout, "data");
    // The first batch brings what came since the last kill, and takes its time.
    const delay = 300 + Math.random() * 1200;
    process.stdout.write(`killed after ${delay.toFixed(1)} ms\n`);
    await sleep(delay);
    child.kill("SIGKILL");
    await exit;
  }
  const exit = once(writer, "exit");
  writer.stdin.end();
  await exit;
  expect(await one.differencesAfterFollowing()).toEqual([]);
  const [found] = await one.query<{ n: number }>("SELECT count(*)::int AS n FROM copies");
  expect(found?.n).toBeGreaterThan(100);
});
