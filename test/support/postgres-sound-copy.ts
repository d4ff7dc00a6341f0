import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { type ProgramName, programPath, runAs, type Server } from "@lifeboat/postgres";
import { execa } from "execa";
import pg from "pg";
import type { TestCluster } from "./postgres.ts";

const PATIENCE_MS = 600_000;

type Installation = Pick<TestCluster, "programs" | "account">;

/** The numbers in table `ledger` of a copy that was just started, once it has recovered. */
export async function ledgerOf(server: Server): Promise<ReadonlySet<number>> {
  const client = new pg.Client(server.clientConfig("postgres", "app"));
  await client.connect();
  try {
    for (const patience = Date.now() + PATIENCE_MS; ; ) {
      const { rows } = await client.query("select pg_is_in_recovery() as recovers");
      if (rows[0].recovers !== true) break;
      if (Date.now() > patience) throw new Error("the copy does not end its recovery");
      await delay(50);
    }
    const { rows } = await client.query<{ n: number }>("select n from ledger");
    return new Set(rows.map(({ n }) => n));
  } finally {
    await client.end();
  }
}

/** The digest of all that a server holds; but for what a crash moves (sequences), and what a restore maps. */
export async function dumpOf(installation: Installation, server: Server): Promise<string> {
  const child = execa(
    ...program(installation, "pg_dumpall", ["--no-unlogged-table-data", ...reach(server)]),
    { ...runAs(installation.account), buffer: { stdout: false } },
  );
  const hash = createHash("sha256");
  for await (const line of createInterface({ input: child.stdout }))
    if (!/^(\\(un)?restrict|CREATE TABLESPACE|SELECT pg_catalog\.setval)/.test(line))
      hash.update(`${line}\n`);
  await child;
  return hash.digest("hex").slice(0, 16);
}

/** What pg_amcheck says where heaps and indexes do not agree; undefined where they do. */
export function unsoundIn(installation: Installation, copy: Server): Promise<string | undefined> {
  const args = ["--all", "--install-missing", "--heapallindexed", ...reach(copy)];
  return faultBy(installation, "pg_amcheck", args);
}

/** What pg_checksums says of a stopped server's files where a page's checksum does not fit. */
export function badPagesIn(installation: Installation, directory: string) {
  return faultBy(installation, "pg_checksums", ["--check", "-D", directory]);
}

async function faultBy(installation: Installation, name: string, args: readonly string[]) {
  const { exitCode, all } = await execa(...program(installation, name, args), {
    ...{ ...runAs(installation.account), reject: false, all: true },
  });
  return exitCode === 0 ? undefined : `${name}: ${String(all).slice(0, 600)}`;
}

function program(
  { programs }: Installation,
  name: string,
  args: readonly string[],
): [string, readonly string[]] {
  return [programPath(programs, name as ProgramName), args];
}

function reach(server: Server): string[] {
  const { host, port } = server.clientConfig("postgres", "postgres");
  return ["-h", String(host), "-p", String(port), "-U", "postgres"];
}
