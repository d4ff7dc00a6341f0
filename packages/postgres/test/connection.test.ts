import { writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { availableMajors, startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import { TransactionPooler } from "../../../test/support/transaction-pooler.ts";
import {
  connect,
  connectForReplication,
  parseConnectionUrl,
  withClient,
} from "../src/connection/connection.ts";
import { connectionFailure } from "../src/connection/failure.ts";

const SECRET = "s3cr3t-of-the-url";

describe.each(await availableMajors())("connections to a server of version %i", (major) => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await startCluster({ major, settings: { max_wal_senders: "1" } });
    await cluster.query(`create role plain login password '${SECRET}'`);
    await cluster.query(`create role sender login replication password '${SECRET}'`);
    await cluster.query(`create role shut login replication password '${SECRET}'`);
    const hba = join(cluster.dataDirectory, "pg_hba.conf");
    await writeFile(
      hba,
      "local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 scram-sha-256\n" +
        "host replication sender,plain,postgres 127.0.0.1/32 scram-sha-256\n",
    );
    await cluster.query("select pg_reload_conf()");
  });
  afterAll(() => cluster?.stop());

  const urlOf = (user: string, password = SECRET, database = "app") =>
    `postgres://${user}:${password}@127.0.0.1:${cluster.port}/${database}`;

  /** The one sender that this server has may still be ending, for the connection before. */
  async function replicating(options: Parameters<typeof connectForReplication>[0]) {
    for (;;) {
      try {
        return await connectForReplication(options);
      } catch (thrown) {
        if (!(thrown instanceof LifeboatError && thrown.code === "SENDERS_EXHAUSTED")) throw thrown;
      }
    }
  }

  async function refusal(connecting: Promise<pg.Client>): Promise<LifeboatError> {
    const outcome = await connecting.catch((thrown: unknown) => thrown);
    if (!(outcome instanceof LifeboatError)) throw new Error("it was let in");
    const shown = JSON.stringify([
      outcome.message,
      outcome.remedy,
      outcome.details,
      String(outcome.cause),
    ]);
    expect(shown).not.toContain(SECRET);
    return outcome;
  }

  test("a role that may is let in, for SQL and as a WAL sender", async () => {
    const client = await connect({ url: urlOf("sender") });
    expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await client.end();
    const sender = await replicating({ url: urlOf("sender") });
    expect((await sender.query("IDENTIFY_SYSTEM")).rows).toHaveLength(1);
    await sender.end();
  });

  test("a wrong password is said to be one", async () => {
    const failure = await refusal(connect({ url: urlOf("sender", `not-${SECRET}`) }));
    expect(failure).toMatchObject({ code: "AUTHENTICATION_FAILED" });
    expect(failure.message).toContain('"sender"');
  });

  test("a role without the replication right gets the command that gives it", async () => {
    const failure = await refusal(replicating({ url: urlOf("plain") }));
    expect(failure).toMatchObject({
      code: "REPLICATION_DENIED",
      remedy: "as a superuser: alter role plain replication",
    });
  });

  test("without a line in pg_hba.conf the line is shown", async () => {
    const failure = await refusal(replicating({ url: urlOf("shut") }));
    expect(failure.code).toBe("HBA_ENTRY_MISSING");
    expect(failure.remedy).toContain("host replication shut 127.0.0.1/32 scram-sha-256;");
  });

  test("a server that starts is waited for, and a standby that takes nobody is not", () => {
    const place = { host: "db1", port: 5432, user: "a", database: "b", replication: false };
    const remedyFor = (message: string) =>
      connectionFailure(Object.assign(new Error(message), { code: "57P03" }), place).remedy;
    const still = "the database system is not yet accepting connections";
    expect(remedyFor(still)).toContain("wait until it has started");
    // With the detail "Hot standby mode is disabled.", from 15 to 18.
    const never = "the database system is not accepting connections";
    expect(remedyFor(never)).toContain("hot_standby = off");
    // In another language it may be either.
    const either = remedyFor("das Datenbanksystem nimmt keine Verbindungen an");
    expect(either).toContain("wait until it has started");
    expect(either).toContain("hot_standby = off");
  });

  test("a database that is not there is named", async () => {
    const failure = await refusal(connect({ url: urlOf("plain", SECRET, "nowhere") }));
    expect(failure).toMatchObject({ code: "DATABASE_MISSING" });
    expect(failure.message).toContain('"nowhere"');
  });

  test("nothing that a database's owner put before the server's own functions and views is run", async () => {
    await cluster.query("create schema planted; grant usage on schema planted to public");
    await cluster.query("create function planted.current_setting(text) returns text return 'mine'");
    await cluster.query("create view planted.pg_settings as select 'mine' as setting");
    await cluster.query("create function public.quote_ident(name) returns text return 'mine'");
    await cluster.query("alter database app set search_path = planted, public, pg_catalog");
    const client = await connect({ url: urlOf("sender") });
    const { rows } = await client.query(
      `select quote_ident('a'::name) as name, current_setting('port') as port, setting
       from pg_settings where name = 'port'`,
    );
    expect(rows).toEqual([{ name: "a", port: `${cluster.port}`, setting: `${cluster.port}` }]);
    await client.end();
    await cluster.query("alter database app reset search_path");
  });

  test("what is set for the product's statements does not hold for ours", async () => {
    const set = ["statement_timeout = '1min'", "idle_session_timeout = '1min'"];
    set.push("datestyle = 'German'", "default_transaction_isolation = serializable");
    for (const setting of set) await cluster.query(`alter role sender set ${setting}`);
    const client = await connect({ url: urlOf("sender") });
    const { rows } = await client.query(
      `select current_setting('statement_timeout') as statement, current_setting('idle_session_timeout') as idle,
         current_setting('transaction_isolation') as isolation, '2026-01-02'::timestamptz as instant`,
    );
    expect(rows).toEqual([
      { statement: "0", idle: "0", isolation: "read committed", instant: expect.any(Date) },
    ]);
    await client.end();
    await cluster.query("alter role sender reset all");
  });

  test("what lies damaged on the server's disk is told from a fault of its own, with the way around it", async () => {
    const damaged = withClient({ url: cluster.superuserUrl }, (client) =>
      client.query(
        "do $$ begin raise 'invalid page in block 3' using errcode = 'data_corrupted'; end $$",
      ),
    );
    await expect(damaged).rejects.toMatchObject({
      code: "STATEMENT_FAILED",
      message: expect.stringContaining("invalid page in block 3"),
      remedy: expect.stringContaining("name another database of this server in postgres.url"),
    });
  });

  test("a pooler's session, which may be the product's next, keeps its own settings", async () => {
    await using pooler = await TransactionPooler.start(cluster.superuserUrl);
    const client = await connect({ url: pooler.through(cluster.superuserUrl) });
    const { rows } = await client.query("show search_path");
    expect(rows).toEqual([{ search_path: '"$user", public' }]);
    await client.end();
  });

  test("when all WAL senders are taken, the setting is named", async () => {
    const holder = await replicating({ url: urlOf("sender") });
    const failure = await refusal(connectForReplication({ url: urlOf("sender") }));
    expect(failure.code).toBe("SENDERS_EXHAUSTED");
    expect(failure.message).toContain("max_wal_senders");
    await holder.end();
  });

  test("the password comes from the password file, a line for replication included, unless others may read it", async () => {
    const file = join(cluster.directory, "pgpass");
    const before = process.env.PGPASSFILE;
    process.env.PGPASSFILE = file;
    try {
      const line = (database: string) => `127.0.0.1:*:${database}:sender:${SECRET}\n`;
      const bare = { url: `postgres://sender@127.0.0.1:${cluster.port}/app` };
      await writeFile(file, `# a comment\n${line("replication")}`, { mode: 0o600 });
      await (await replicating(bare)).end();
      expect((await refusal(connect(bare))).code).toBe("AUTHENTICATION_FAILED");
      await writeFile(file, line("app"));
      await (await connect(bare)).end();
      await writeFile(`${file}-open`, line("app"), { mode: 0o644 });
      process.env.PGPASSFILE = `${file}-open`;
      expect((await refusal(connect(bare))).code).toBe("AUTHENTICATION_FAILED");
    } finally {
      if (before === undefined) delete process.env.PGPASSFILE;
      else process.env.PGPASSFILE = before;
    }
  });
});

test("where no server listens, host and port are named", async () => {
  const port = await new Promise<number>((resolve) => {
    const once = createServer().listen(0, "127.0.0.1", () => {
      const { port } = once.address() as AddressInfo;
      once.close(() => resolve(port));
    });
  });
  await expect(
    connect({ url: `postgres://nobody:${SECRET}@127.0.0.1:${port}/x` }),
  ).rejects.toMatchObject({
    code: "SERVER_UNREACHABLE",
    message: expect.stringContaining(`127.0.0.1:${port}`),
  });
});

test("what is no URL is refused without being repeated", () => {
  for (const url of [
    `localhost:5432/${SECRET}`,
    `mysql://a:${SECRET}@b/c`,
    `postgres://a:${SECRET}@[b/c`,
  ])
    expect(() => parseConnectionUrl(url)).toThrow(
      expect.objectContaining({
        code: "CONNECTION_URL_INVALID",
        message: expect.not.stringContaining(SECRET),
      }),
    );
});

describe("the line that pg_hba.conf lacks", () => {
  const said = (from: string) =>
    Object.assign(new Error(`no pg_hba.conf entry for replication connection from host ${from}`), {
      code: "28000",
    });
  const place = { port: 5432, user: "rep", database: "app", replication: true };

  test.each([
    ["/run/postgresql", '"[local]", user "rep", no encryption', "local replication rep scram"],
    ["db", '"10.0.0.7", user "rep", SSL encryption', "hostssl replication rep 10.0.0.7/32 scram"],
    ["db", '"fd00::7", user "rep", no encryption', "host replication rep fd00::7/128 scram"],
    ["db", "»10.0.0.7«, Benutzer »rep«", "replication rep 10.0.0.7/32 scram"],
  ])("of a connection to %s from host %s is shown as it has to be", (host, from, line) => {
    expect(connectionFailure(said(from), { host, ...place }).remedy).toContain(line);
  });
});

describe("an authentication that takes no password", () => {
  const place = {
    host: "/run/postgresql",
    port: 5432,
    user: "ada",
    database: "app",
    replication: false,
  };

  test.each([
    'Peer authentication failed for user "ada"',
    "l'authentification Peer a échoué pour l'utilisateur « ada »",
    '用户 "ada" 的对等认证失败',
  ])("is not blamed on one: the account that may is named (%s)", (said) => {
    const cause = Object.assign(new Error(said), { code: "28000" });
    const failure = connectionFailure(cause, place);
    expect(failure.code).toBe("AUTHENTICATION_FAILED");
    expect(failure.message).toContain(said);
    expect(failure.remedy).toContain("su ada ");
    expect(failure.remedy).not.toContain("PGPASSWORD");
  });

  test("of a role that is not there says so, and where the script is that makes it", () => {
    const cause = Object.assign(new Error('role "ada" does not exist'), {
      ...{ code: "28000", routine: "InitializeSessionUserId" },
    });
    const failure = connectionFailure(cause, place);
    expect(failure.code).toBe("ROLE_MISSING");
    expect(failure.message).toContain('no role "ada"');
    expect(failure.remedy).toContain("doctor --sql");
  });
});
