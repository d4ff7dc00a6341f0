import { readdir, rm } from "node:fs/promises";
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

test("a copy that cannot recover stays, and is said to", async () => {
  const to = join(cluster.directory, "broken");
  const failed = restoreBeside(cluster, kept, {
    to,
    replay: true,
    run: async (steps) => {
      for (const step of steps) {
        if (step.title.startsWith("replay")) await rm(join(to, "global", "pg_control"));
        await step.run(() => {});
      }
    },
  });
  await expect(failed).rejects.toMatchObject({
    code: "RECOVERY_FAILED",
    remedy: expect.stringContaining(`${to} is left as it is`),
  });
  expect(await readdir(to)).toContain("PG_VERSION");
});
