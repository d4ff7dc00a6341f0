import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import { withClient } from "../src/connection/connection.ts";
import { AdaptiveRate } from "../src/rate/adapt-rate.ts";
import { BackupRate } from "../src/rate/backup-rate.ts";
import { CommitLatency } from "../src/rate/commit-latency.ts";
import { Throttle } from "../src/rate/throttle.ts";

const never = new AbortController().signal;
const MIB = 1 << 20;

async function* pieces(count: number, bytes = MIB): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(bytes);
  for (let n = 0; n < count; n++) yield piece;
}

/** Without an end, and no faster than others get their turn. */
async function* flowing(): AsyncGenerator<Uint8Array> {
  for (const piece = new Uint8Array(MIB); ; ) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    yield piece;
  }
}

async function secondsFor(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

test("a throttle bounds several readers together, and counts what it held up", async () => {
  const throttle = new Throttle(40 * MIB);
  const reader = async () => {
    for (let n = 0; n < 10; n++) await throttle.take(MIB, never);
  };
  const seconds = await secondsFor(async () => {
    await Promise.all([reader(), reader()]);
  });
  // 20 MiB at 40 MiB a second, less the first tenth of a second's worth.
  expect(seconds).toBeGreaterThan(0.35);
  expect(throttle.waitedSeconds).toBeGreaterThan(0.35);
});

test("whoever waits at a throttle can be stopped", async () => {
  const throttle = new Throttle(1);
  const stop = new AbortController();
  const waiting = throttle.take(1000, stop.signal);
  stop.abort();
  await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
});

describe("an adaptive rate", () => {
  const start = 16 * MIB;
  const rate = (available = 0) => new AdaptiveRate({ baseline: 1, share: 0.2, start, available });

  test("rises while commits take what they took before", () => {
    const adaptive = rate();
    let now = start;
    for (let n = 0; n < 20; n++) now = adaptive.next(1.1, now);
    expect(now).toBeGreaterThan(8 * start);
  });

  test("gives way when they take longer than the share allows, but never stops", () => {
    const adaptive = rate();
    let now = start;
    for (let n = 0; n < 20; n++) now = adaptive.next(1, Math.min(now, 100 * MIB));
    const fallen = adaptive.next(1.3, 100 * MIB);
    expect(fallen).toBeLessThan(now);
    for (let n = 0; n < 50; n++) now = adaptive.next(9, Math.min(now, 100 * MIB));
    expect(now).toBe(25 * MIB);
    expect(adaptive.lowest).toBeLessThan(adaptive.highest);
  });

  test("never falls below a quarter of what passes without a limit, however slow commits are from the start", () => {
    const adaptive = rate(200 * MIB);
    let now = start;
    for (let n = 0; n < 50; n++) now = adaptive.next(9, now);
    expect(now).toBe(50 * MIB);
  });

  test("does not rise above what passes anyway", () => {
    const adaptive = rate();
    let now = start;
    for (let n = 0; n < 50; n++) now = adaptive.next(1, 10 * MIB);
    expect(now).toBeLessThanOrEqual(20 * MIB);
  });
});

describe("the rate of a backup", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster?.stop());

  const pass = async (rate: BackupRate, content: AsyncIterable<Uint8Array>) => {
    for await (const _ of rate.through(content, never));
  };

  test("is unlimited, and no word is lost about it, where none is asked for", async () => {
    const rate = await BackupRate.start(undefined, { url: cluster.superuserUrl });
    await pass(rate, pieces(100));
    expect(await rate.end()).toEqual([]);
  });

  test("under auto is half of what passed without a limit", async () => {
    const rate = await BackupRate.start("auto", { url: cluster.superuserUrl });
    let going = true;
    // A source that gives 1 MiB every 10 ms, or as often as a busy machine lets it, and then a lot at once, which has to wait.
    const source = async function* () {
      while (going) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        yield new Uint8Array(MIB);
      }
      yield* pieces(30);
    };
    setTimeout(() => (going = false), 2_500);
    await pass(rate, source());
    const [{ summary } = { summary: "" }] = await rate.end();
    const [, heldUp, limit] = /held up for ([\d.]+) s.*limit was ([\d.]+) MiB/.exec(summary) ?? [];
    expect(Number(limit)).toBeGreaterThan(1);
    expect(Number(limit)).toBeLessThan(60);
    // A tenth of a second's worth passes at once.
    expect(Number(heldUp) * Number(limit)).toBeGreaterThan(20);
  });

  test("under adaptive watches commits on the primary, tells them, and leaves no session behind", async () => {
    const rate = await BackupRate.start("adaptive", { url: cluster.superuserUrl });
    const started = performance.now();
    for await (const _ of rate.through(flowing(), never))
      if (performance.now() - started > 1_000) break;
    expect(await rate.end()).toEqual([
      expect.objectContaining({
        id: "rate-kept",
        summary: expect.stringMatching(
          /^--max-rate adaptive: [\d.]+ MiB\/s on average.*limit moved between.*a commit took [\d.]+ ms before and [\d.]+ ms during/,
        ),
      }),
    ]);
    await expect
      .poll(() =>
        cluster.query("select pid from pg_stat_activity where application_name = 'lifeboat'"),
      )
      .toEqual([]);
  });

  test("commits are timed in a database without PL/pgSQL as well", async () => {
    await cluster.query("create database bare template template0", "postgres");
    await cluster.query("drop extension plpgsql", "bare");
    const url = new URL(cluster.superuserUrl);
    url.pathname = "/bare";
    await withClient({ url: url.href }, async (client) => {
      const latency = await CommitLatency.start(client);
      expect(latency.during).toBeNull();
      expect(await latency.measure()).toBeGreaterThan(0);
      expect([latency.baseline, latency.during].every((took) => took && took > 0)).toBe(true);
    });
  });

  test("whose watch over the primary breaks ends the backup", async () => {
    const rate = await BackupRate.start("adaptive", { url: cluster.superuserUrl });
    await cluster.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'lifeboat'",
    );
    await expect(pass(rate, flowing())).rejects.toThrow();
    await rate.end();
  });
});
