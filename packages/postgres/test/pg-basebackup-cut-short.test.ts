import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import { pgBasebackupTransport } from "../src/basebackup/pg-basebackup.ts";
import { withClient } from "../src/connection/connection.ts";
import { describeServer } from "../src/facts/server-facts.ts";
import { hasProgram, programPath } from "../src/server/programs.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster?.stop());

/** The server's programs, of which pg_basebackup loses the end of what it writes and ends well. */
async function programsThatLoseTheEnd(bytes: number): Promise<string> {
  const directory = join(cluster.directory, "programs");
  await mkdir(directory);
  for (const name of await readdir(cluster.programs.directory))
    if (name !== "pg_basebackup")
      await symlink(join(cluster.programs.directory, name), join(directory, name));
  const own = programPath(cluster.programs, "pg_basebackup");
  const script = `#!/bin/sh
case "$*" in *--version*) exec '${own}' "$@" ;; esac
'${own}' "$@" | head -c -${bytes}
`;
  await writeFile(join(directory, "pg_basebackup"), script, { mode: 0o755 });
  return directory;
}

test.runIf(process.platform === "linux")(
  "a base backup whose last padding is missing is no base backup, whatever the program's status says",
  async ({ skip }) => {
    if (!(await hasProgram(cluster.programs, "pg_basebackup"))) skip("there is no pg_basebackup");
    // Behind the last file come its padding and two blocks of zeros.
    const binDirectory = await programsThatLoseTheEnd(2 * 512 + 1);
    const connection = { url: cluster.superuserUrl, binDirectory };
    const taking = pgBasebackupTransport.takeBaseBackup({
      connection,
      server: await withClient(connection, describeServer),
      label: "cut short",
      maxRate: null,
      parentManifest: null,
      jobs: 2,
      archive: async ({ content }) => {
        for await (const _ of content);
      },
      report: () => {},
      signal: new AbortController().signal,
    });
    await expect(taking).rejects.toMatchObject({
      name: "LifeboatError",
      message: expect.stringContaining("cut short"),
    });
  },
);
