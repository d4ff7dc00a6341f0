import { existsSync, globSync, readdirSync, readFileSync, truncateSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";

const main = fileURLToPath(new URL("../../apps/demo/src/main.ts", import.meta.url));

test("the demo goes through the whole main job and leaves only what it names", async () => {
  const temporary = await temporaryFolder();
  const demo = await execa(process.execPath, [main], { env: { TMPDIR: temporary }, reject: false });
  expect(demo.exitCode, `${demo.stdout}\n${demo.stderr}`).toBe(0);
  for (const name of ["documint", "cronping", "flagbit", "webhookvault"])
    expect(demo.stdout).toMatch(new RegExp(`^ +${name} +sqlite .* restored, equal$`, "m"));
  expect(demo.stdout).toMatch(/^ +documint +postgres .* recovered, equal$/m);
  expect(demo.stdout).toMatch(/measured recovery time \d/);
  const [folder, ...others] = readdirSync(temporary);
  expect(others).toEqual([]);
  const path = join(temporary, folder ?? "");
  expect(readdirSync(path).toSorted()).toEqual(LEFT);
  const repository = readdirSync(join(path, "repository"));
  expect(repository).toEqual(expect.arrayContaining([...PRODUCTS, "RESTORE.md"]));
  await expect.poll(() => processesNaming(temporary)).toEqual([]);
}, 600_000);

test("stopped while its server runs, the demo leaves nothing at all", async () => {
  const temporary = await temporaryFolder();
  const demo = execa(process.execPath, [main], { env: { TMPDIR: temporary }, reject: false });
  await lineMatching(demo.stdout, /archive_command = /);
  demo.kill("SIGINT");
  expect((await demo).exitCode).toBe(130);
  expect(readdirSync(temporary)).toEqual([]);
  await expect.poll(() => processesNaming(temporary)).toEqual([]);
});

test("a backup that is damaged before it is restored ends the demo with exit status 1", async () => {
  const temporary = await temporaryFolder();
  const demo = execa(process.execPath, [main], { env: { TMPDIR: temporary }, reject: false });
  await lineMatching(demo.stdout, /^Each is restored/);
  const [damaged] = globSync(`${temporary}/*/repository/webhookvault/**/*.db.zst`);
  truncateSync(damaged ?? "", 100_000);
  const { exitCode, stderr } = await demo;
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/lifeboat-webhookvault restore .* ended with 1/);
  expect(stderr).toContain("webhookvault.db.zst");
  await expect.poll(() => processesNaming(temporary)).toEqual([]);
});

const PRODUCTS = ["cronping", "documint", "flagbit", "webhookvault"];
const LEFT = ["databases", "environment.sh", "repository", "server-state", "state"];

function lineMatching(stream: Readable, shape: RegExp): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const lines = createInterface(stream);
  lines.on("line", (line) => shape.test(line) && resolve());
  lines.on("close", () => reject(new Error("the demo ended before")));
  return promise;
}

/** A server's account must be able to pass through it. */
async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "lifeboat-demo-test-"));
  await chmod(path, 0o755);
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** The command lines of running processes in which the text occurs. */
function processesNaming(text: string): string[] {
  if (!existsSync("/proc/self/cmdline")) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(commandLineOf)
    .filter((line) => line.includes(text));
}

/** Empty when the process has ended meanwhile. */
function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch (thrown) {
    if (["ENOENT", "ESRCH"].includes((thrown as NodeJS.ErrnoException).code ?? "")) return "";
    throw thrown;
  }
}
