import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { availableMajors, type TestCluster } from "../../../test/support/postgres.ts";
import { rottenTable } from "../../../test/support/rotten-table.ts";
import { parallelTransport } from "../src/basebackup/parallel.ts";
import { pgBasebackupTransport } from "../src/basebackup/pg-basebackup.ts";
import type { BaseBackupRequest, Transport } from "../src/basebackup/transport.ts";
import { wireTransport } from "../src/basebackup/wire.ts";
import { hasProgram } from "../src/server/programs.ts";
import { BaseBackupCase, byTar } from "./base-backup-case.ts";

describe.each(await availableMajors())("base backups of version %i on their way", (major) => {
  let one: BaseBackupCase;
  let cluster: TestCluster;
  beforeAll(async () => {
    one = await BaseBackupCase.start(major);
    ({ cluster } = one);
  });
  afterAll(() => cluster?.stop());

  async function isHere(transport: Transport): Promise<boolean> {
    return transport !== pgBasebackupTransport || hasProgram(cluster.programs, "pg_basebackup");
  }

  /** The archive's member names, in order, when reading begins only after `beforehand`. */
  async function contentOf(transport: Transport, beforehand: () => Promise<unknown>) {
    let listed = "";
    await one.take(transport, async ({ content }) => {
      await beforehand();
      listed = await byTar(["-t", "-f", "-"], content);
    });
    // Which WAL and which caches there are changes from one backup to the next.
    return listed.split("\n").filter((name) => !name.startsWith("pg_wal/"));
  }

  test("wait for a slow reader instead of filling memory", async () => {
    await cluster.query(
      "create table big as select repeat(md5(i::text), 200) as t from generate_series(1, 1000) i",
    );
    await cluster.query("alter table big alter t set storage external");
    await cluster.query(
      "insert into big select repeat(md5(i::text), 200) from generate_series(1, 15000) i",
    );
    const before = process.memoryUsage().arrayBuffers;
    let bytes = 0;
    let held = 0;
    const read: BaseBackupRequest["archive"] = async ({ content }) => {
      for await (const chunk of content) {
        if (bytes === 0) {
          await expect
            .poll(() =>
              cluster.query(
                "select wait_event from pg_stat_activity where backend_type = 'walsender'",
              ),
            )
            .toEqual([{ wait_event: "ClientWrite" }]);
          held = process.memoryUsage().arrayBuffers - before;
        }
        bytes += chunk.length;
      }
    };
    // With a rate, a high one: else a server that finds the link slow compresses all of it into so little that nothing waits.
    await one.take(wireTransport, read, { maxRate: 1 << 30 });
    expect(bytes).toBeGreaterThan(100 << 20);
    expect(held).toBeLessThan(32 << 20);
    await cluster.query("drop table big");
  });

  test.each([wireTransport, pgBasebackupTransport])(
    "lose no byte while a slow repository is not reading yet",
    async (transport) => {
      if (!(await isHere(transport))) return;
      const early = await contentOf(transport, async () => {});
      // Long enough for the server to have sent what the pipes and sockets hold.
      const late = await contentOf(transport, () => delay(500));
      expect(late).toEqual(early);
    },
  );

  test("a reader that fails ends the backup on the server too", async () => {
    const failing = one.take(wireTransport, async ({ content }) => {
      for await (const _ of content) throw new Error("no space left");
    });
    await expect(failing).rejects.toMatchObject({
      message: expect.stringContaining("no space left"),
    });
    await one.nothingRemains();
  });

  test.each([wireTransport, pgBasebackupTransport])(
    "that are stopped leave nothing on the server",
    async (transport) => {
      if (!(await isHere(transport))) return;
      const stop = new AbortController();
      const stopped = one.take(
        transport,
        async ({ content }) => {
          for await (const _ of content) {
            stop.abort();
            await delay(10);
          }
        },
        { signal: stop.signal },
      );
      await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
      await one.nothingRemains();
    },
  );

  test("a corrupt page is named with its file and block, and everything else is taken", async () => {
    const path = await rottenTable(cluster);
    try {
      for (const transport of [wireTransport, pgBasebackupTransport, parallelTransport]) {
        if (!(await isHere(transport))) continue;
        const { corruptPages, manifest } = await one.take(transport, async ({ content }) => {
          for await (const _ of content);
        });
        expect(corruptPages).toEqual([{ path, block: 1 }]);
        expect(manifest.whole().toString()).toContain(`"${path}"`);
      }
    } finally {
      await cluster.query("drop table rotten");
    }
  });

  test("keep to the rate that is asked for, and refuse one that no server takes", async () => {
    await expect(one.take(wireTransport, async () => {}, { maxRate: 1000 })).rejects.toMatchObject({
      code: "RATE_INVALID",
      kind: "usage",
    });
    const started = performance.now();
    let bytes = 0;
    await one.take(
      wireTransport,
      async ({ content }) => {
        for await (const chunk of content) bytes += chunk.length;
      },
      { maxRate: 16 << 20 },
    );
    const seconds = (performance.now() - started) / 1000;
    expect(bytes / seconds).toBeLessThan(1.2 * (16 << 20));
  });
});
