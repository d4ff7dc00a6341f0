import {
  type FollowReport,
  type FollowRequest,
  followReverse,
  installReverseCapture,
  type MigrationPlan,
} from "@lifeboat/migrate";
import pg from "pg";
import type { TestCluster } from "../support/postgres.ts";
import { compareIndependently } from "./independent-comparison.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

/** A migration that was cut over, as far as the way back needs it. */
export interface ReverseCase extends MigrationCase {
  /** Loads, and lets Postgres keep its changes from then on. */
  cutOver(): Promise<MigrationPlan>;
  follow(more?: Partial<FollowRequest>): Promise<FollowReport>;
  /** Follows, and names what an independent comparison finds different. */
  differencesAfterFollowing(): Promise<string[]>;
  client(): Promise<pg.Client>;
}

export async function reverseCase(cluster: TestCluster, sql: string): Promise<ReverseCase> {
  const one = await migrationCase(cluster, sql);
  let plan: MigrationPlan | undefined;
  const connected: pg.Client[] = [];
  const made: ReverseCase = Object.assign(one, {
    async cutOver() {
      plan = await one.answerAll();
      await one.load();
      one.sqlite(frozenBy(plan, await cutOverByHand(one.url, plan)));
      return plan;
    },
    follow: (more = {}) =>
      followReverse({
        sqlite: { path: one.path },
        postgres: { url: one.url },
        until: "caught-up",
        signal: new AbortController().signal,
        ...more,
      }),
    async differencesAfterFollowing() {
      await made.follow();
      if (!plan) throw new Error("not cut over");
      return (await compareIndependently(one.path, one.url, plan)).differences;
    },
    async client() {
      const client = new pg.Client(one.url);
      await client.connect();
      connected.push(client);
      return client;
    },
  });
  const { end } = one;
  made.end = async () => {
    for (const client of connected) await client.end();
    await end();
  };
  return made;
}

/**
 * What a cutover leaves in Postgres.
 * @returns the migration's id
 */
export async function cutOverByHand(url: string, plan: MigrationPlan): Promise<string> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await client.query("BEGIN");
    await installReverseCapture(client, plan);
    await installReverseCapture(client, plan);
    const { rows } = await client.query<{ id: string }>(
      "UPDATE lifeboat.migrations SET phase = 'cut-over' RETURNING id",
    );
    await client.query("COMMIT");
    return rows[0]?.id ?? "";
  } finally {
    await client.end();
  }
}

/** What a cutover leaves in SQLite. */
export function frozenBy(plan: MigrationPlan, migration: string): string {
  const triggers = plan.tables.flatMap(({ name }, at) =>
    ["INSERT", "UPDATE", "DELETE"].map(
      (
        event,
      ) => `CREATE TRIGGER lifeboat_refuse_${at}_${event} BEFORE ${event} ON "${name.replaceAll('"', '""')}"
        WHEN (SELECT refused FROM lifeboat_state) BEGIN SELECT RAISE(ABORT, 'lifeboat: moved to Postgres, writes refused'); END;`,
    ),
  );
  return `${refusingFor(migration)} CREATE TABLE lifeboat_log(seq INTEGER PRIMARY KEY, tbl, k1); ${triggers.join("\n")}`;
}

/** The row by which SQLite is known as frozen; without the triggers it refuses nothing. */
export function refusingFor(migration: string): string {
  return `CREATE TABLE lifeboat_state(refused INTEGER NOT NULL, until INTEGER, migration TEXT NOT NULL, schema_version INTEGER, schema_digest TEXT); INSERT INTO lifeboat_state (refused, migration) VALUES (1, '${migration}');`;
}
