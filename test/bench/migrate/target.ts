import { startCluster, type TestCluster } from "../../support/postgres.ts";
import type { Workplace } from "../workplace.ts";

const SETTINGS = {
  fsync: "on",
  autovacuum: "on",
  shared_buffers: "1GB",
  max_wal_size: "8GB",
  checkpoint_timeout: "1h",
};

/** A server whose database `target` is made anew as often as one likes. */
export class Target {
  readonly #cluster: TestCluster;

  private constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  static async start(workplace: Workplace): Promise<Target> {
    const cluster = await startCluster({ major: 15, settings: SETTINGS });
    workplace.atEnd(() => cluster.stop());
    return new Target(cluster);
  }

  get url(): string {
    return this.#cluster.superuserUrl.replace(/\/app$/, "/target");
  }

  /** As pgloader spells a socket. */
  get pgLoaderUrl(): string {
    const { socketDirectory, port } = this.#cluster.server;
    return `postgresql://postgres@unix:${socketDirectory}:${port}/target`;
  }

  async anew(): Promise<void> {
    await this.#cluster.query("drop database if exists target with (force)");
    await this.#cluster.query("create database target");
    await this.#cluster.query("checkpoint");
  }
}
