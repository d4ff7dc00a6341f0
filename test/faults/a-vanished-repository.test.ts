import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Repository, RepositoryMemory } from "@lifeboat/core";
import { fetchWal } from "@lifeboat/postgres/archive";
import { filesystemStorage } from "@lifeboat/storage";
import { afterEach, beforeEach, expect, test } from "vitest";

let folder: string;
let path: string;
let repository: Repository;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-vanished-"));
  path = join(folder, "repository");
  repository = await Repository.open({
    storage: filesystemStorage({ path }),
    app: "app",
    memory: new RepositoryMemory(join(folder, "memory")),
    mode: "write",
  });
  await repository
    .folder("postgres", "7")
    .storeLog("00000002/00000002.history", async function* () {
      yield Buffer.from("1\t0/3000000\tno recovery target specified\n");
    });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("between two requests proves no WAL file absent, though an empty mount point stays behind", async () => {
  const fetching = (name: string) =>
    fetchWal({ repository, name, destination: join(folder, "RECOVERYHISTORY") });
  await expect(fetching("00000003.history")).rejects.toMatchObject({
    code: "WAL_MISSING",
    kind: "not-found",
  });
  // Unmounted as soon as the fetch knows whose WAL it wants.
  const folders = repository.folders.bind(repository);
  repository.folders = async (engine) => {
    const found = await folders(engine);
    await rename(path, `${path}.unmounted`);
    await mkdir(path);
    return found;
  };
  await expect(fetching("00000003.history")).rejects.toMatchObject({
    code: "REPOSITORY_GONE",
    kind: "failed",
  });
});
