import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ownProcessMark, processOfMarkIsGone, processOfMarkLives } from "../src/process-mark.ts";

const [place, pid, start] = ownProcessMark().split("-") as [string, string, string];

test("a process that lives is not gone, and one that had its number before is", () => {
  expect(processOfMarkIsGone(ownProcessMark())).toBe(false);
  expect(processOfMarkIsGone(`${place}-${pid}-${Number(start) + 1}`)).toBe(true);
  const { pid: ended } = spawnSync("true");
  expect(processOfMarkIsGone(`${place}-${ended}-1`)).toBe(true);
});

/** As proc(5) says it, behind the name. */
async function startOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] as string;
}

test.runIf(process.platform === "linux")(
  "a process that is dead and waits for its parent to notice is gone",
  async () => {
    // Once it is another program, the parent notices no child's end any more.
    const parent = spawn("sh", ["-c", "sleep 1000 & echo $!; exec sleep 1000"]);
    onTestFinished(() => void parent.kill("SIGKILL"));
    const [said] = await once(parent.stdout, "data");
    await expect.poll(() => readFile(`/proc/${parent.pid}/comm`, "utf8")).toBe("sleep\n");
    const child = Number(String(said));
    const mark = `${place}-${child}-${await startOf(child)}`;
    expect(processOfMarkIsGone(mark)).toBe(false);
    process.kill(child, "SIGKILL");
    await expect.poll(() => processOfMarkIsGone(mark)).toBe(true);
    // It has not been noticed: the kernel still knows it.
    expect(await startOf(child)).toBe(mark.split("-")[2]);
  },
);

test.runIf(process.platform === "linux")(
  "a program may be called what it likes without being taken for gone",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "lifeboat-mark-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const program = join(folder, "a) Z (b");
    await symlink("/bin/sleep", program);
    const child = spawn(program, ["1000"]);
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child, "spawn");
    const pid = child.pid as number;
    expect(await readFile(`/proc/${pid}/comm`, "utf8")).toContain("a) Z (b");
    expect(processOfMarkIsGone(`${place}-${pid}-${await startOf(pid)}`)).toBe(false);
  },
);

test("where the system hides when a living process began, it is not taken for gone", () => {
  expect(processOfMarkIsGone(`${place}-${pid}-0`)).toBe(false);
});

test("of another machine, or no mark at all, nothing is taken for gone, nor for living", () => {
  expect(processOfMarkIsGone(`${"0".repeat(16)}-1-1`)).toBe(false);
  expect(processOfMarkIsGone("../../etc")).toBe(false);
  for (const mark of [`${"0".repeat(16)}-1-1`, "../../etc"])
    expect(processOfMarkLives(mark), mark).toBe(false);
  expect(processOfMarkLives(ownProcessMark())).toBe(true);
});
