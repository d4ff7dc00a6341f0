import { appendFile, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { hasProgram, postgresDumpSource, programPath, Server } from "@lifeboat/postgres";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { connectTarget } from "../../packages/migrate/src/target/connect.ts";
import { pgBasebackupTransport } from "../../packages/postgres/src/basebackup/pg-basebackup.ts";
import {
  connect,
  connectForReplication,
  withClient,
} from "../../packages/postgres/src/connection/connection.ts";
import { describeServer } from "../../packages/postgres/src/facts/server-facts.ts";
import { proveDatabase } from "../../packages/postgres/src/revive/prove.ts";
import { ensureSlot } from "../../packages/postgres/src/wal/receive-slot.ts";
import { type GermanLocale, germanLocale } from "../support/german-locale.ts";
import { PATIENCE } from "../support/patience.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";

const SENDERS = 2;
const signal = new AbortController().signal;

let locale: GermanLocale | undefined;
let cluster: TestCluster | undefined;
let isGerman = false;

beforeAll(async () => {
  locale = await germanLocale();
  if (!locale) return;
  cluster = await startCluster({
    archiveCommand: "false",
    settings: {
      lc_messages: locale.name,
      wal_level: "logical",
      max_wal_senders: String(SENDERS),
    },
  });
  // Its packages may have come without what is translated.
  const told: unknown = await cluster.query("select 1/0").catch((cause: unknown) => cause);
  isGerman = String(told).includes("Division durch Null");
  const hba = `local all all trust\nlocal replication all trust\nhost all nobody,shut 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256\nhost replication lifeboat,postgres,plain 127.0.0.1/32 scram-sha-256\n`;
  await writeFile(join(cluster.dataDirectory, "pg_hba.conf"), hba);
  await cluster.query("select pg_reload_conf()");
  await cluster.query("create role shut; create role plain login password 'plain'");
  await cluster.query("create table ledger as select generate_series(1, 10) n");
});
afterAll(async () => {
  await cluster?.stop();
  await locale?.[Symbol.asyncDispose]();
});

/** The German server; the test is left out where there is none. */
function german({ skip }: { skip(note: string): never }): TestCluster {
  if (!locale) return skip("localedef makes no German locale here");
  if (!isGerman || !cluster) return skip("this server knows no German");
  return cluster;
}

const urlOf = ({ port }: TestCluster, user: string, password = "") =>
  `postgres://${user}:${password}@127.0.0.1:${port}/app`;

async function refusal(connecting: Promise<pg.Client>): Promise<LifeboatError> {
  const outcome = await connecting.catch((thrown: unknown) => thrown);
  if (!(outcome instanceof LifeboatError)) throw new Error("it was let in");
  return outcome;
}

describe("what a server says in German is understood:", () => {
  test("that all WAL senders are taken", async (context) => {
    const { superuserUrl: url } = german(context);
    const holders = await Promise.all(
      Array.from({ length: SENDERS }, () => connectForReplication({ url })),
    );
    expect(await refusal(connectForReplication({ url }))).toMatchObject({
      code: "SENDERS_EXHAUSTED",
      message: expect.stringContaining("Anzahl angeforderter Standby-Verbindungen"),
      remedy: expect.stringContaining("max_wal_senders = 10 (a backup"),
    });
    await Promise.all(holders.map((holder) => holder.end()));
  });

  test("that a role may not replicate, has no line in pg_hba.conf, or is none that may log in", async (context) => {
    const it = german(context);
    const denied = await refusal(connectForReplication({ url: urlOf(it, "plain", "plain") }));
    expect(denied).toMatchObject({
      code: "REPLICATION_DENIED",
      remedy: "as a superuser: alter role plain replication",
    });
    const unlisted = await refusal(connectForReplication({ url: urlOf(it, "shut") }));
    expect(unlisted.code).toBe("HBA_ENTRY_MISSING");
    expect(unlisted.remedy).toContain("host replication shut 127.0.0.1/32 scram-sha-256;");
    for (const role of ["nobody", "shut"])
      expect(await refusal(connect({ url: urlOf(it, role) }))).toMatchObject({
        code: "ROLE_MISSING",
        remedy: expect.stringContaining(`alter role ${role} login`),
      });
  });

  test("by a migration, too", async (context) => {
    const it = german(context);
    const remedyFor = async (url: string) => (await refusal(connectTarget({ url }))).remedy;
    expect(await remedyFor(urlOf(it, "nobody"))).toContain("doctor --sql prints the script");
    expect(await remedyFor(urlOf(it, "plain", "wrong"))).toContain("put the right password");
  });

  test("that a slot is a logical one", async (context) => {
    const it = german(context);
    await it.query("select pg_create_logical_replication_slot('logical', 'pgoutput')");
    const sender = await connectForReplication({ url: it.superuserUrl });
    await expect(ensureSlot(sender, "logical")).rejects.toMatchObject({
      ...{ code: "SLOT_UNUSABLE", kind: "refused" },
    });
    await sender.end();
    await it.query("select pg_drop_replication_slot('logical')");
  });

  test("that pg_dump may not read a table, or is kept from rows", async (context) => {
    const it = german(context);
    if (!(await hasProgram(it.programs, "pg_dump"))) context.skip("there is no pg_dump");
    const connection = { url: it.url, binDirectory: it.programs.directory };
    const remedyNow = async () => {
      const dumping = postgresDumpSource({ connection }).dump({ report: () => {}, signal });
      const outcome: unknown = await dumping.then((dump) => dump.close()).catch((cause) => cause);
      return outcome instanceof LifeboatError ? outcome.remedy : "it was dumped";
    };
    expect(await remedyNow()).toContain('grant pg_read_all_data to "lifeboat"');
    await it.query("grant select on ledger to lifeboat");
    expect(await remedyNow()).toBe("it was dumped");
    await it.query("alter table ledger enable row level security");
    expect(await remedyNow()).toContain('alter role "lifeboat" bypassrls');
    await it.query("alter table ledger disable row level security");
  });

  test("that pg_basebackup waits for an archiver that does not get on", async (context) => {
    const it = german(context);
    if (!(await hasProgram(it.programs, "pg_basebackup")))
      context.skip("there is no pg_basebackup");
    const { binDirectory, says } = await programsThatComplain(it);
    const connection = { url: it.superuserUrl, binDirectory };
    const taking = pgBasebackupTransport.takeBaseBackup({
      connection,
      server: await withClient(connection, describeServer),
      ...{ label: "stalled", maxRate: null, parentManifest: null, jobs: 2 },
      archive: async ({ content }) => {
        for await (const _ of content);
      },
      ...{ report: () => {}, signal },
    });
    const stalled = expect(taking).rejects.toMatchObject({ code: "ARCHIVER_STALLED" });
    const phase = "select phase from pg_stat_progress_basebackup";
    await expect
      .poll(() => it.query(phase), PATIENCE)
      .toEqual([{ phase: "waiting for wal archiving to finish" }]);
    await writeFile(says, "");
    await stalled;
  });
});

/** The server's programs, of which pg_basebackup passes on at once, when told to, what a server says after a minute. */
async function programsThatComplain(it: TestCluster) {
  const binDirectory = join(it.directory, "programs");
  const says = join(it.directory, "complain");
  await mkdir(binDirectory);
  for (const name of await readdir(it.programs.directory))
    if (name !== "pg_basebackup")
      await symlink(join(it.programs.directory, name), join(binDirectory, name));
  const own = programPath(it.programs, "pg_basebackup");
  const warning =
    "WARNUNG:  warte immer noch, bis alle benötigten WAL-Segmente archiviert sind (60 Sekunden abgelaufen)";
  const script = `#!/bin/sh
case "$*" in *--version*) exec '${own}' "$@" ;; esac
'${own}' "$@" &
trap "kill $!" TERM
until test -e '${says}'; do sleep 0.05; done
echo '${warning}' >&2
wait $!
`;
  await writeFile(join(binDirectory, "pg_basebackup"), script, { mode: 0o755 });
  return { binDirectory, says };
}

describe("a copy whose locale this host has not", () => {
  const startAgain = async (it: TestCluster, settings: Record<string, string> = {}) => {
    const { programs, account, dataDirectory } = it;
    vi.stubEnv("LOCPATH", undefined);
    const server = await Server.start({ programs, account, dataDirectory, settings });
    vi.unstubAllEnvs();
    try {
      await server.accepting("postgres");
      return "it lets clients in";
    } catch (cause) {
      return cause;
    } finally {
      await server.stop("immediate");
    }
  };

  test("is not waited for, though its server runs and lets nobody in; or when its settings name it", async (context) => {
    if (!locale) return context.skip("localedef makes no German locale here");
    const sorted = await startCluster({ initdb: [`--lc-collate=${locale.name}`] });
    const missing = {
      code: "LOCALE_MISSING",
      message: expect.stringContaining(`needs the locale ${locale.name}`),
      remedy: expect.stringContaining("localedef"),
    };
    try {
      await sorted.server.stop();
      expect(await startAgain(sorted)).toMatchObject(missing);
      const conf = join(sorted.dataDirectory, "postgresql.conf");
      await appendFile(conf, `lc_monetary = '${locale.name}'\n`);
      expect(await startAgain(sorted)).toMatchObject(missing);
    } finally {
      await sorted.stop();
    }
  });
});

test("a database in SQL_ASCII is proved by what it holds, and not by whether that is UTF-8", async (context) => {
  if (!cluster) return context.skip("localedef makes no German locale here");
  await cluster.query("create database bytes template template0 encoding 'SQL_ASCII'");
  await cluster.query("create table t as select E'stra\\xdfe'::text as name", "bytes");
  const client = new pg.Client(cluster.server.clientConfig("postgres", "bytes"));
  await client.connect();
  expect(await proveDatabase(client, "bytes")).toMatchObject({ ok: true });
  await client.end();
  await cluster.query("drop database bytes");
});
