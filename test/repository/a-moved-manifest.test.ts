import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type DatabaseFolder,
  type Manifest,
  Repository,
  RepositoryMemory,
  type Storage,
} from "@lifeboat/core";
import { memoryStorage } from "@lifeboat/storage";
import { afterEach, beforeEach, expect, test } from "vitest";

const instant = "2026-11-22T10:15:00.123Z";
const id = "20261122T101500.123Z-full";

let state: string;
let storage: Storage;
let repository: Repository;
let folder: DatabaseFolder;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "lifeboat-moved-"));
  storage = memoryStorage();
  repository = await open("documint");
  folder = repository.folder("sqlite", "app");
  await repository.writeManifest(folder, manifest);
});
afterEach(() => rm(state, { recursive: true }));

const open = (app: string) =>
  Repository.open({ storage, app, memory: new RepositoryMemory(state), mode: "write" });

const manifest: Manifest = {
  format: 1,
  id,
  app: "documint",
  engine: "sqlite",
  database: "app",
  type: "full",
  parent: null,
  label: null,
  startedAt: instant,
  finishedAt: instant,
  consistentAt: instant,
  sourceBytes: 0,
  storedBytes: 0,
  tool: "test",
  objects: [],
  details: {},
};

test("a manifest in its own place is a backup", async () => {
  const found = await repository.backups(folder);
  expect(found).toMatchObject({ manifests: [{ id }], problems: [] });
});

test.each([
  ["another backup's folder", "documint", "sqlite/app/backups/20261122T101600.000Z-full"],
  ["another database's folder", "documint", `sqlite/other/backups/${id}`],
  ["another engine's folder", "documint", `postgres/app/backups/${id}`],
  ["another app's folder", "flagbit", `sqlite/app/backups/${id}`],
])("whole, but in %s, it is no backup and a problem that names it", async (_, app, place) => {
  const path = `${app}/${place}/manifest.json`;
  const bytes = storage.read(`${folder.backupPath(id)}/manifest.json`);
  await storage.create(path, Buffer.concat(await Array.fromAsync(bytes)));
  await storage.remove(`${folder.backupPath(id)}/manifest.json`);
  const [kind, database] = place.split("/") as ["sqlite" | "postgres", string];
  const other = await open(app);
  const found = await other.backups(other.folder(kind, database));
  expect(found.manifests).toEqual([]);
  expect(found.problems).toMatchObject([{ object: path, code: "MANIFEST_CORRUPT" }]);
});
