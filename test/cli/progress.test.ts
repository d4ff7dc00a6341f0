import { stripVTControlCharacters } from "node:util";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { plainRunner } from "../../packages/cli/src/plain-progress.ts";
import { ProgressLine } from "../../packages/cli/src/progress-line.ts";

const render = new URL("../../packages/cli/src/render.ts", import.meta.url).href;

/** Runs two steps as a terminal would show them, in a process of their own. */
async function onTerminal(second: string) {
  const program = `
    const { terminalRunner } = await import(${JSON.stringify(render)});
    const { setTimeout: pause } = await import("node:timers/promises");
    const copying = async (report) => {
      for (let bytes = 0; bytes <= 1000; bytes += 100) {
        report({ bytes: bytes * 1048576, totalBytes: 1000 * 1048576, note: "copying" });
        await pause(100);
      }
    };
    try {
      await terminalRunner({ color: false })([
        { title: "copy the database", run: copying },
        { title: "write the manifest", run: ${second} },
      ]);
    } catch (failure) {
      console.log("threw", failure.message);
    }`;
  return execa(process.execPath, ["--input-type=module", "--eval", program], { env: { CI: "" } });
}

describe("on a terminal", () => {
  test("a step shows its bytes, its rate and the time left, and at its end how long it took", async () => {
    const { stdout, stderr } = await onTerminal("async () => {}");
    const shown = stripVTControlCharacters(stderr);
    expect(shown).toMatch(/\d+ MiB of 1000 MiB, [\d.]+ [MG]iB\/s, [\d.]+ s left, copying/);
    expect(shown).toMatch(/copy the database \([\d.]+ s\)/);
    expect(shown).toMatch(/write the manifest \([\d.]+ s\)/);
    expect(stdout).toBe("");
  });

  test("a step that fails ends the run with its own error, which is left to the caller to show", async () => {
    const { stdout, stderr } = await onTerminal("async () => { throw new Error('disk full'); }");
    expect(stdout).toBe("threw disk full");
    expect(stderr).not.toContain("disk full");
  });
});

describe("without a terminal", () => {
  test("a step is a line when it begins and one when it ends", async () => {
    const lines: string[] = [];
    const run = plainRunner((line) => lines.push(line));
    await run([
      { title: "copy", run: async (report) => report({ bytes: 2048, totalBytes: 4096 }) },
    ]);
    expect(lines).toEqual([
      "copy …",
      expect.stringMatching(/^copy: done in [\d.]+ s \(2\.00 KiB of 4\.00 KiB\)$/),
    ]);
  });

  test("a step that goes on for days is told of often at first and seldom later", async () => {
    let now = 0;
    const said: number[] = [];
    const run = plainRunner(
      () => said.push(now / 1000),
      () => now,
    );
    const follow = async (report: (progress: { note: string }) => void) => {
      for (; now < 2 * 86_400_000; now += 1000) report({ note: "row" });
    };
    await run([{ title: "follow", run: follow }]);
    expect(said.slice(0, 4)).toEqual([0, 10, 20, 30]);
    const pauses = said.slice(1).map((at, index) => at - (said[index] ?? 0));
    expect(Math.max(...pauses)).toBe(600);
    expect(said.length).toBeLessThan(450);
  });

  test("the first step that fails ends the run", async () => {
    const lines: string[] = [];
    const failing = { title: "fail", run: async () => Promise.reject(new Error("no")) };
    const run = plainRunner((line) => lines.push(line));
    await expect(run([failing, { title: "never", run: async () => {} }])).rejects.toThrow("no");
    expect(lines).toEqual(["fail …"]);
  });
});

test("rate and time left come from the bytes done so far, and notes replace each other", () => {
  let now = 0;
  const line = new ProgressLine(() => now);
  line.take({ bytes: 0, totalBytes: 400 * 1024 ** 2, note: "reading" });
  expect(line.text()).toBe("0 B of 400 MiB, reading");
  now = 2000;
  line.take({ bytes: 100 * 1024 ** 2 });
  expect(line.text()).toBe("100 MiB of 400 MiB, 50.0 MiB/s, 6.00 s left, reading");
  line.take({ bytes: 400 * 1024 ** 2, note: "storing" });
  expect(line.text()).toBe("400 MiB of 400 MiB, 200 MiB/s, storing");
});
