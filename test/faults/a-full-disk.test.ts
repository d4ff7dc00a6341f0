import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Repository, RepositoryMemory } from "@lifeboat/core";
import { filesystemStorage } from "@lifeboat/storage";
import { afterEach, beforeEach, expect, test } from "vitest";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-full-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const HISTORY = "00000002.history";

test("that takes only a part of the last bytes of a fetched WAL file never leaves it cut short", async () => {
  const repository = await Repository.open({
    storage: filesystemStorage({ path: join(folder, "repository") }),
    app: "app",
    memory: new RepositoryMemory(join(folder, "memory")),
    mode: "write",
  });
  await repository.folder("postgres", "7").storeLog(`00000002/${HISTORY}`, async function* () {
    yield Buffer.alloc(1500, "1\t0/3000000\tno recovery target specified\n");
  });
  await mkdir(join(folder, "pg_wal"));
  expect(await fetchUnderLimit(1)).toBe("WAL_UNWRITABLE");
  expect(await readdir(join(folder, "pg_wal"))).toEqual([]);
  expect(await fetchUnderLimit(2)).toBe("fetched");
  expect(await readdir(join(folder, "pg_wal"))).toEqual(["RECOVERYHISTORY"]);
});

/** In a process that can write files of so many KiB: as on a full disk, a write takes what still fits. */
async function fetchUnderLimit(kibibytes: number): Promise<string> {
  const source = `
    import { Repository, RepositoryMemory } from ${resolved("@lifeboat/core")};
    import { fetchWal } from ${resolved("@lifeboat/postgres/archive")};
    import { filesystemStorage } from ${resolved("@lifeboat/storage")};
    process.on("SIGXFSZ", () => {});
    process.chdir(${JSON.stringify(folder)});
    const repository = await Repository.open({
      storage: filesystemStorage({ path: "repository" }),
      app: "app", memory: new RepositoryMemory("memory"), mode: "read",
    });
    try {
      await fetchWal({ repository, name: "${HISTORY}", destination: "pg_wal/RECOVERYHISTORY" });
      console.log("fetched");
    } catch (thrown) {
      console.log(thrown.code);
    }`;
  const limited = ["-c", `ulimit -f ${kibibytes}; exec "$@"`, "bash"];
  const node = [process.execPath, "--input-type=module", "-e", source];
  const fetching = spawn("bash", [...limited, ...node], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  fetching.stdout.on("data", (chunk) => {
    said += chunk;
  });
  await once(fetching, "close");
  return said.trim();
}

function resolved(specifier: string): string {
  return JSON.stringify(import.meta.resolve(specifier));
}
