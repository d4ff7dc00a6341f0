import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { restoreBeside } from "../support/postgres-copies.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

let cluster: TestCluster;
let kept: ClusterRepository;
beforeAll(async () => {
  cluster = await startCluster();
  kept = await repositoryBeside(cluster);
  await kept.take();
});
afterAll(() => cluster?.stop());

test("a restore that is stopped while its copy replays says that the copy stays, and leaves no server", async () => {
  const stopping = new AbortController();
  const to = join(cluster.directory, "stopped");
  const stopped = restoreBeside(cluster, kept, {
    to,
    replay: true,
    signal: stopping.signal,
    run: async (steps) => {
      for (const step of steps) {
        if (step.title.startsWith("replay")) queueMicrotask(() => stopping.abort());
        await step.run(() => {});
      }
    },
  });
  await expect(stopped).rejects.toMatchObject({
    code: "REPLAY_STOPPED",
    message: expect.stringContaining(to),
    remedy: expect.stringContaining("--force"),
  });
  const entries = await readdir(to);
  expect(entries).toContain("PG_VERSION");
  expect(entries).not.toContain("postmaster.pid");
});
