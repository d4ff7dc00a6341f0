import { mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { assertNotRunning } from "../src/places/restore-places.ts";
import { serverLines, startLine, stopLine } from "../src/server/server-line.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-lines-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const root = { name: "postgres", uid: 1, gid: 1, foreign: true };
const plain = { ...root, foreign: false };

test("root starts and stops a server as the account that it runs as, who runs as it by the program itself", () => {
  expect(startLine("/bin/pg_ctl", "/data", plain)).toBe(
    "/bin/pg_ctl start -D /data -l /data/recovery.log",
  );
  expect(stopLine("/bin/pg_ctl", "/data", root)).toBe(
    "su postgres -s /bin/sh -c '/bin/pg_ctl stop -D /data -m fast'",
  );
});

test.each(["/a place", "/it's", '/"$HOME"'])(
  "a shell takes %s as it is, also inside su",
  async (place) => {
    // In place of pg_ctl and of su: what they are given.
    const told = join(folder, "told");
    await writeFile(told, '#!/bin/sh\nprintf "%s|" "$@"\n', { mode: 0o755 });
    const options = "-c archive_mode=off -c port=PORT";
    const line = startLine(told, place, root, { options });
    const asAccount = line.replace(/^su postgres -s \/bin\/sh/, "sh");
    expect((await execa("sh", ["-c", asAccount])).stdout).toBe(
      `start|-D|${place}|-l|${place}/recovery.log|-o|${options}|`,
    );
  },
);

test("a server that runs from a folder that nobody named is stopped by the program beside it", async () => {
  await writeFile(join(folder, "PG_VERSION"), "99\n");
  await writeFile(join(folder, "postmaster.opts"), `${folder}/postgres "-D" "/data"\n`);
  expect((await serverLines(folder)).stop).toMatch(/(?<!\/)pg_ctl stop/);
  await writeFile(join(folder, "pg_ctl"), "", { mode: 0o755 });
  expect((await serverLines(folder)).stop).toContain(`${folder}/pg_ctl stop -D ${folder}`);
});

test("of a directory that is no cluster the program's name alone is said", async () => {
  expect((await serverLines(folder)).stop).toContain(`pg_ctl stop -D ${folder}`);
});

test.each([
  ["a pipe", (path: string) => execa("mkfifo", [path])],
  ["a device", (path: string) => symlink("/dev/zero", path)],
  ["a file of 1 GiB", (path: string) => writeFile(path, "").then(() => truncate(path, 2 ** 30))],
])("%s in the place of a server's small files is neither waited for nor read", async (_, make) => {
  for (const name of ["postmaster.pid", "postmaster.opts", "PG_VERSION"])
    await make(join(folder, name));
  await expect(assertNotRunning(folder)).rejects.toMatchObject({
    code: "PID_FILE_UNFIT",
    kind: "refused",
    message: expect.stringContaining(join(folder, "postmaster.pid")),
    remedy: expect.stringContaining("ls -l"),
  });
  expect((await serverLines(folder)).stop).toContain(`pg_ctl stop -D ${folder}`);
});
