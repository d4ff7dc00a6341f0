import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Repository, RepositoryMemory, type Storage, verify } from "@lifeboat/core";
import { memoryStorage } from "@lifeboat/storage";
import { afterEach, beforeEach, expect, test } from "vitest";
import { backupsWithoutManifest } from "../../packages/core/src/manifests-missing.ts";

const ID = "20261122T101500.123Z-full";

let state: string;
let storage: Storage;
let repository: Repository;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "lifeboat-unfinished-"));
  storage = memoryStorage();
  const memory = new RepositoryMemory(state);
  repository = await Repository.open({ storage, app: "shop", memory, mode: "write" });
});
afterEach(() => rm(state, { recursive: true }));

test("a backup that ended while the manifests were read is not missing one, and one that lost it is", async () => {
  const folder = repository.folder("sqlite", "app");
  const missing = () => backupsWithoutManifest(repository, folder, { manifests: [], problems: [] });
  const manifest = `${folder.backupPath(ID)}/manifest.json`;
  await storage.create(`${folder.backupPath(ID)}/app.db.zst`, Buffer.from("x"));
  await storage.create(manifest, Buffer.from("{}"));
  expect(await missing()).toEqual([]);
  await storage.remove(manifest);
  expect(await missing()).toMatchObject([{ object: manifest, code: "MANIFEST_MISSING" }]);
  const lock = await repository.lock("sqlite-app", "backup of app");
  expect(await missing()).toEqual([]);
  await lock.release();
});

test("of a repository that holds nothing it is not said that all of it is as it was written", async () => {
  const { signal } = new AbortController();
  await expect(
    verify({ repository, engines: [], engine: "postgres", deep: false, signal }),
  ).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND", kind: "not-found" });
});
