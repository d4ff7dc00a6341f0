import { access, chmod, cp, mkdir, mkdtemp, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ownedFolder } from "../../../test/support/postgres.ts";
import { serverAccount } from "../src/files/account.ts";
import { initialiseCluster } from "../src/server/cluster.ts";
import { findPrograms } from "../src/server/programs.ts";
import { Server } from "../src/server/server.ts";
import { reachablePrograms } from "../src/server/staging.ts";

let closed: string;

beforeEach(async () => {
  closed = await mkdtemp(join(tmpdir(), "lifeboat-closed-"));
});

afterEach(async () => {
  await chmod(closed, 0o700);
  await rm(closed, { recursive: true });
});

describe("programs that the server's account cannot reach", () => {
  test("programs that it can run are left where they are", async () => {
    await chmod(closed, 0o755);
    await writeFile(join(closed, "postgres"), "#!/bin/sh\necho 'postgres (PostgreSQL) 16.1'\n", {
      mode: 0o755,
    });
    const programs = await findPrograms({ binDirectory: closed });
    const reachable = await reachablePrograms(programs, await serverAccount());
    expect(reachable.programs).toBe(programs);
    await reachable.release();
  });

  test.runIf(process.getuid?.() === 0)(
    "under a closed folder are copied, run from the copy, and the copy is removed",
    async () => {
      const account = await serverAccount();
      const embedded = await findPrograms({ major: 18 });
      // As a clone under /root with umask 077 is: closed above, and closed itself.
      await cp(dirname(embedded.directory), join(closed, "native"), {
        recursive: true,
        verbatimSymlinks: true,
      });
      const programs = { ...embedded, directory: join(closed, "native", "bin") };
      const reachable = await reachablePrograms(programs, account);
      const copy = reachable.programs.directory;
      expect(copy).not.toContain(closed);
      expect(await readlink(join(copy, "..", "lib", "libpq.so.5"))).toMatch(/^libpq\.so\.5\.\d+$/);

      const folder = await ownedFolder(account);
      const dataDirectory = join(folder, "data");
      const init = { programs: reachable.programs, account, dataDirectory };
      await initialiseCluster({ ...init, password: "x", options: ["--no-sync"] });
      const server = await Server.start(init);
      await server.accepting("postgres");
      await server.stop();

      await reachable.release();
      await expect(access(copy)).rejects.toThrow("ENOENT");
      await rm(folder, { recursive: true });
    },
  );

  test.runIf(process.getuid?.() === 0)(
    "that cannot be moved are an error that says what to do",
    async () => {
      const embedded = await findPrograms({ major: 18 });
      const programs = { ...embedded, directory: join(closed, "bin") };
      await mkdir(programs.directory);
      const failure = reachablePrograms(programs, await serverAccount());
      await expect(failure).rejects.toMatchObject({
        code: "PROGRAMS_UNREACHABLE",
        remedy: expect.stringContaining("chmod o+x"),
      });
    },
  );
});
