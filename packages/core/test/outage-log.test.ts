import { expect, test } from "vitest";
import { OutageLog } from "../src/outage-log.ts";

const BEGIN = Date.parse("2026-11-22T10:00:00.000Z");
const outage = { reason: "EHOSTUNREACH", meanwhile: "10 bytes wait" };

function logAt() {
  const said: [number, string][] = [];
  const clock = { now: BEGIN };
  const log = new OutageLog(
    "app",
    (line) => said.push([clock.now - BEGIN, line]),
    () => clock.now,
  );
  return { said, clock, log };
}

test("an outage of a day is told once, again at intervals that double up to an hour, and once when it is over", () => {
  const { said, clock, log } = logAt();
  log.working();
  for (; clock.now <= BEGIN + 6 * 3_600_000; clock.now += 1000) log.failing(outage);
  log.working();
  log.working();
  const minutes = said.map(([at]) => Math.round(at / 60_000));
  expect(minutes).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 360]);
  expect(said[0]?.[1]).toBe(
    "app: nothing is shipped since 2026-11-22T10:00:00.000Z: EHOSTUNREACH; 10 bytes wait",
  );
  expect(said[4]?.[1]).toBe(
    "app: still nothing is shipped, for 15 min now: EHOSTUNREACH; 10 bytes wait",
  );
  expect(said.at(-1)?.[1]).toBe(
    "app: shipping again after 6 h (since 2026-11-22T10:00:00.000Z); nothing is lost",
  );
});

test("a hole is told with the end of the outage, and the next outage is one of its own", () => {
  const { said, clock, log } = logAt();
  log.failing({ ...outage, since: new Date(BEGIN - 30_000) });
  clock.now += 5000;
  log.working("the WAL has grown");
  clock.now += 5000;
  log.failing(outage);
  expect(said.map(([, line]) => line)).toEqual([
    "app: nothing is shipped since 2026-11-22T09:59:30.000Z: EHOSTUNREACH; 10 bytes wait",
    "app: shipping again after 35 s (since 2026-11-22T09:59:30.000Z); there is a hole: the WAL has grown",
    "app: nothing is shipped since 2026-11-22T10:00:10.000Z: EHOSTUNREACH; 10 bytes wait",
  ]);
  expect(log.isOut).toBe(true);
});

test("however long one outage was, the next one is told again after a minute", () => {
  const { said, clock, log } = logAt();
  const outFor = (seconds: number) => {
    for (const end = clock.now + seconds * 1000; clock.now <= end; clock.now += 1000)
      log.failing(outage);
  };
  outFor(3600);
  log.working();
  const before = said.length;
  outFor(61);
  expect(said.slice(before).map(([, line]) => line)).toEqual([
    expect.stringMatching(/^app: nothing is shipped since/),
    expect.stringMatching(/^app: still nothing is shipped, for 60 s now/),
  ]);
});

test("what stops may be something else than shipping", () => {
  const said: string[] = [];
  const words = { stopped: "nothing is brought over", again: "at work again" };
  const log = new OutageLog(
    "sync",
    (line) => said.push(line),
    () => BEGIN,
    words,
  );
  log.failing(outage);
  log.working();
  expect(said).toEqual([
    "sync: nothing is brought over since 2026-11-22T10:00:00.000Z: EHOSTUNREACH; 10 bytes wait",
    "sync: at work again after 0 s (since 2026-11-22T10:00:00.000Z); nothing is lost",
  ]);
});
