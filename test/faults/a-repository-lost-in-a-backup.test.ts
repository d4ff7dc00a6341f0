import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backup, Repository, RepositoryMemory } from "@lifeboat/core";
import { sqliteEngine } from "@lifeboat/sqlite";
import { filesystemStorage } from "@lifeboat/storage";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";

test("a repository that vanishes in the midst of a backup is the error, and not the clean-up that it keeps from working", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-lost-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const place = join(folder, "repository");
  const repository = await Repository.open({
    storage: filesystemStorage({ path: place }),
    app: "shop",
    memory: new RepositoryMemory(join(folder, "state")),
    mode: "write",
  });
  const path = join(folder, "app.db");
  const database = new Database(path);
  database.exec("CREATE TABLE t(v); INSERT INTO t VALUES (zeroblob(100000))");
  database.close();
  const failing = backup({
    repository,
    engine: sqliteEngine({ databases: [{ name: "app", path }] }),
    type: "full",
    options: {},
    signal: new AbortController().signal,
    run: async (steps) => {
      for (const step of steps) {
        if (step.title === "write the manifest") {
          await rename(place, `${place}-away`);
          await writeFile(place, "not a directory");
          throw new Error("the disk went away");
        }
        await step.run(() => {});
      }
    },
  });
  await expect(failing).rejects.toThrow("the disk went away");
});
