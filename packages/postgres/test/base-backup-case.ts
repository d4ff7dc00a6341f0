import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";
import { expect } from "vitest";
import { startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import type { BaseBackup, BaseBackupRequest, Transport } from "../src/basebackup/transport.ts";
import { withClient } from "../src/connection/connection.ts";
import { describeServer } from "../src/facts/server-facts.ts";

/** A server with a table of 20,000 rows, and base backups of it by any transport. */
export class BaseBackupCase {
  readonly cluster: TestCluster;

  private constructor(cluster: TestCluster) {
    this.cluster = cluster;
  }

  static async start(major: number): Promise<BaseBackupCase> {
    const settings = { max_wal_senders: "5", autovacuum: "off" };
    const cluster = await startCluster({ major, settings });
    await cluster.query(
      "create table t as select i, md5(i::text) from generate_series(1, 20000) i",
    );
    return new BaseBackupCase(cluster);
  }

  async take(
    transport: Transport,
    archive: BaseBackupRequest["archive"],
    more: Partial<BaseBackupRequest> = {},
  ): Promise<BaseBackup> {
    const { cluster } = this;
    const connection = { url: cluster.superuserUrl, binDirectory: cluster.programs.directory };
    return transport.takeBaseBackup({
      connection,
      server: await withClient(connection, describeServer),
      label: "it's a 'label'\nof two lines",
      maxRate: null,
      parentManifest: null,
      jobs: 2,
      archive,
      report: () => {},
      signal: new AbortController().signal,
      ...more,
    });
  }

  /** Unpacked by tar alone, as it would be on the worst day. */
  async unpacked(transport: Transport, into: string, more: Partial<BaseBackupRequest> = {}) {
    const folder = join(this.cluster.directory, into);
    await mkdir(folder);
    const unpack: BaseBackupRequest["archive"] = async ({ tablespace, content }) => {
      const place = join(folder, tablespace ? String(tablespace.oid) : "data");
      await mkdir(place, { recursive: true });
      await byTar(["-x", "-f", "-", "-C", place], content);
    };
    const backup = await this.take(transport, unpack, more);
    return { backup, folder };
  }

  /** Nothing of a backup is left on the server. */
  async nothingRemains(): Promise<void> {
    const { cluster } = this;
    await expect.poll(() => cluster.query("select pid from pg_stat_replication")).toEqual([]);
    expect(await cluster.query("select * from pg_stat_progress_basebackup")).toEqual([]);
    expect(await cluster.query("select slot_name from pg_replication_slots")).toEqual([]);
  }
}

/** What tar says of an archive. */
export async function byTar(
  words: readonly string[],
  content: AsyncIterable<Uint8Array>,
): Promise<string> {
  const tar = execa("tar", words);
  const [, { stdout }] = await Promise.all([
    pipeline(Readable.from(kept(content)), tar.stdin),
    tar,
  ]);
  return stdout;
}

/** A stream's buffer holds several chunks, and each is good only until the next is asked for. */
async function* kept(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) yield Buffer.from(chunk);
}
