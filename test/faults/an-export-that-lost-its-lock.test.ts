import { join } from "node:path";
import {
  allObjects,
  type Dump,
  type DumpSource,
  exportToRepository,
  Repository,
  RepositoryMemory,
  verify,
} from "@lifeboat/core";
import { postgresEngine } from "@lifeboat/postgres";
import { memoryStorage } from "@lifeboat/storage";
import { expect, test } from "vitest";
import { testFolder } from "../support/sqlite.ts";

const { signal } = new AbortController();

async function* content(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("a dump");
}

test("marks what it stored since, as a run that never ended", async () => {
  const storage = memoryStorage();
  const memory = new RepositoryMemory(join(await testFolder(), "state"));
  const repository = await Repository.open({ storage, app: "product", memory, mode: "write" });
  const source: DumpSource = {
    engine: "postgres",
    folderName: async () => "7",
    async dump() {
      // As whoever takes the lock over does, who finds nothing under its id yet.
      for (const place of ["product/locks/", "product/postgres/7/unfinished/"])
        for await (const { path } of allObjects(storage, place)) await storage.remove(path);
      const pieces = () => [{ name: "dump.0001.tar", role: "dump", content: content() }];
      return { bytes: 6, pieces, close: async () => {} } as unknown as Dump;
    },
  };
  await expect(exportToRepository({ repository, source, signal })).rejects.toMatchObject({
    code: "LOCK_LOST",
  });
  const { problems } = await verify({
    repository,
    engines: [postgresEngine({})],
    deep: false,
    signal,
  });
  expect(problems).toMatchObject([
    { code: "UNFINISHED", message: expect.stringMatching(/: the next export removes it$/) },
  ]);
});
