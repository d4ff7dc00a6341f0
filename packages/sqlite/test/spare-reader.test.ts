import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { SpareReader } from "../src/raw/spare-reader.ts";

const self = fileURLToPath(import.meta.url);

test("a reader that was begun beforehand is the one that is taken, once, and reads", async () => {
  const spare = new SpareReader();
  spare.begin();
  spare.begin();
  const beforehand = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").split(" ");
  const [begun, other] = [spare.take(), spare.take()];
  expect(beforehand).toContain(`${begun.pid}`);
  expect(beforehand).not.toContain(`${other.pid}`);
  expect(await begun.peek(self, 0, 6)).toEqual(readFileSync(self).subarray(0, 6));
  await Promise.all([begun.close(), other.close()]);
});

test("one that died before anybody came for it is not taken", async () => {
  const spare = new SpareReader();
  spare.begin();
  const dead = spare.take();
  await dead.close();
  expect(dead.lives).toBe(false);
  spare.begin();
  const second = spare.take();
  expect(await second.peek(self, 0, 6)).toHaveLength(6);
  await second.close();
});

test("one that nobody comes for keeps no process from ending, and ends with it", async () => {
  const module = new URL("../src/raw/spare-reader.ts", import.meta.url).href;
  const program = `
    const { SpareReader } = await import(${JSON.stringify(module)});
    new SpareReader().begin();
    const { readFileSync } = await import("node:fs");
    console.log(readFileSync("/proc/self/task/" + process.pid + "/children", "utf8"));`;
  const words = ["--input-type=module", "--eval", program];
  const { stdout } = await promisify(execFile)(process.execPath, words);
  expect(Number(stdout)).toBeGreaterThan(0);
  await expect.poll(() => isAlive(Number(stdout))).toBe(false);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
