import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { tryKill } from "../support/kill-tree.ts";
import { inTurn, measure } from "./measure.ts";
import { copySeconds } from "./migrate/pgloader.ts";
import { Parts } from "./parts.ts";
import { forgetPeaks, peakMbOf, treeOf } from "./processes.ts";
import { quantile, spread } from "./spread.ts";
import { comparedRow, markdown, missingRow, valueRow } from "./table.ts";

const compared = { what: "backup", peer: "cp", unit: "s" };

test("a ratio is taken run by run, and its median is held against the target", () => {
  const row = comparedRow({
    ...compared,
    ours: [1, 4, 3],
    theirs: [1, 2, 2],
    target: { atMost: 1.5 },
  });
  expect(row).toMatchObject({ ratio: "1.50 (1.00-2.00)", target: "≤ 1.5 ×", met: "met" });
  const strict = { ...compared, ours: [1, 4, 3], theirs: [1, 2, 2], target: { atMost: 1.4 } };
  expect(comparedRow(strict).met).toBe("**not met**");
});

test("how many times faster is theirs over ours", () => {
  const row = comparedRow({
    ...compared,
    ours: [2],
    theirs: [9],
    target: { atLeast: 5 },
    inverse: true,
  });
  expect(row).toMatchObject({ ratio: "4.50", met: "**not met**" });
});

test("where the worst counts, one value over the target is enough", () => {
  const values = { what: "gate", values: [5, 26, 7], unit: "ms" };
  expect(valueRow({ ...values, target: { atMost: 25 } }).met).toBe("met");
  expect(valueRow({ ...values, target: { atMost: 25, worst: true } }).met).toBe("**not met**");
});

test("a value that could not be taken meets nothing", () => {
  const values = [Number.NaN];
  const row = valueRow({ what: "lag", values, unit: "s", target: { atMost: 1 } });
  expect(row.met).toBe("**not met**");
});

test("what was not measured is a line without a verdict", () => {
  expect(markdown([missingRow("shipping", "not available")])).toContain(
    "| shipping | not available | | | | |",
  );
});

test("a quantile is a value that was measured", () => {
  const values = Array.from({ length: 100 }, (_, n) => 100 - n);
  expect([0.5, 0.95, 0.99, 1].map((share) => quantile(values, share))).toEqual([50, 95, 99, 100]);
  expect(spread([3, 1, 2])).toBe("2.00 (1.00-3.00)");
});

test("of two runs neither speaks for both", () => {
  expect(spread([1, 2])).toBe("1.50 (1.00-2.00)");
});

test("a part that is wanted and not there is named, with those that are", () => {
  const parts = new Parts("push,pull");
  expect([parts.wants("push"), parts.wants("replay")]).toEqual([true, false]);
  expect(() => parts.assertAllKnown()).toThrow("no part pull; there are push, replay");
  expect(new Parts().wants("anything")).toBe(true);
});

test("pgloader's own COPY time is found in its summary, however long it took", () => {
  const line = (time: string) => `
          fetch meta data          0          4                     0.030s
COPY Threads Completion          0          4                     ${time}
         Create Indexes          0          2                     0.123s`;
  expect(copySeconds(line("1.950s"))).toBe(1.95);
  expect(copySeconds(line("1m37.4s"))).toBeCloseTo(97.4);
  expect(copySeconds("KABOOM!")).toBeNaN();
});

test("contestants run in turn, and who begins changes", async () => {
  const order: string[] = [];
  const contestant = (name: string) => ({
    name,
    command: "true",
    before: async () => order.push(name),
  });
  const [a, b] = await inTurn([contestant("a"), contestant("b")], 2);
  expect(order).toEqual(["a", "b", "b", "a"]);
  expect([a.length, b.length]).toEqual([2, 2]);
});

test("a command's CPU is counted with that of its children, and a failed one is no measure", async () => {
  const busy = "node -e 'while (process.cpuUsage().user < 100_000);'";
  const { cpuSeconds, seconds, stdout } = await measure({
    name: "busy",
    command: `${busy} && (${busy}) && echo said`,
  });
  expect(stdout).toBe("said\n");
  expect(cpuSeconds).toBeGreaterThanOrEqual(0.2);
  expect(seconds).toBeGreaterThan(0);
  await expect(measure({ name: "broken", command: "true | false" })).rejects.toThrow(
    "broken ended with 1",
  );
});

test("a tree of processes holds the children's children", async () => {
  const child = spawn("bash", ["-c", "bash -c 'sleep 60 & echo started; wait' & wait"]);
  const ended = once(child, "close");
  try {
    await once(child.stdout, "data");
    expect((await treeOf(child.pid as number)).length).toBe(3);
  } finally {
    // The first that is ended may take the one above it along.
    for (const pid of (await treeOf(child.pid as number)).toReversed()) tryKill(pid);
    await ended;
  }
});

test("the memory of a process is its greatest until that is forgotten", async () => {
  const program =
    "let held = Buffer.alloc(2e8, 1); held = null; gc(); console.log('freed'); setInterval(() => {}, 1e6)";
  const child = spawn(process.execPath, ["--expose-gc", "-e", program]);
  const ended = once(child, "close");
  try {
    await once(child.stdout, "data");
    const pid = child.pid as number;
    const peak = await peakMbOf(pid);
    await forgetPeaks(pid);
    expect(peak).toBeGreaterThan(190);
    expect(await peakMbOf(pid)).toBeLessThan(150);
  } finally {
    child.kill();
    await ended;
  }
});
