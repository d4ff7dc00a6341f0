import {
  type AppRights,
  askAppRights,
  cutoverMigration,
  loadMigration,
  migrationStatus,
  planMigration,
} from "@lifeboat/migrate";
import { leastPrivilegeScript } from "@lifeboat/postgres";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type MigrationCase, migrationCase } from "./migration-case.ts";

/** Names of which none may be put into a statement as it is. */
const ROLE = `pro'duct "role"`;
const QUOTED = `"pro'duct ""role"""`;
const SCHEMA = `
  CREATE TABLE orders(id INTEGER PRIMARY KEY AUTOINCREMENT, note TEXT); INSERT INTO orders(note) VALUES ('first');
  CREATE TABLE "odd""name"(v INTEGER); CREATE VIEW notes AS SELECT note FROM orders`;

describe("the product's own role", () => {
  let cluster: TestCluster;
  let one: MigrationCase;
  let database: string;
  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.query(`CREATE ROLE ${QUOTED} LOGIN PASSWORD 'x'; CREATE ROLE helper`);
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    one = await migrationCase(cluster, SCHEMA);
    database = new URL(one.url).pathname.slice(1);
  });
  afterEach(async () => {
    await reset();
    await one.end();
  });

  /** Its loader is a superuser, as nobody notices until the product is moved. */
  const asSuperuser = () => {
    const url = new URL(cluster.superuserUrl);
    url.pathname = database;
    return { url: url.href };
  };
  const request = () => ({
    sqlite: { path: one.path },
    postgres: asSuperuser(),
    appRole: ROLE,
    signal: new AbortController().signal,
  });
  const load = () => loadMigration({ ...request(), live: true });
  const rights = (role = ROLE, schema = "public"): Promise<AppRights> =>
    askAppRights(asSuperuser(), { role, schema }, new AbortController().signal);
  const lacking = async () => (await rights()).lacking;
  const reset = () =>
    run(
      `ALTER ROLE ${QUOTED} NOSUPERUSER INHERIT; REVOKE helper, pg_read_all_data, pg_write_all_data FROM ${QUOTED};
       REASSIGN OWNED BY ${QUOTED}, helper TO postgres; DROP OWNED BY ${QUOTED}, helper`,
    );
  const run = (sql: string) => cluster.query(sql, database);
  async function asProduct(sql: string): Promise<void> {
    const url = new URL(one.url);
    url.username = encodeURIComponent(ROLE);
    url.password = "x";
    const client = new pg.Client(url.href);
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  }
  const WORK = `INSERT INTO orders(note) VALUES ('by itself'); UPDATE orders SET note = 'x'; DELETE FROM orders;
    INSERT INTO "odd""name" VALUES (1); SELECT * FROM notes`;

  it("that may not use what a superuser loaded is a gate before anything is done, and the statements that are told open it", async () => {
    const { findings } = await load();
    expect(findings).toMatchObject([{ id: "app-role-rights", severity: "warning" }]);
    const refused = await cutoverMigration(request()).catch((cause: unknown) => cause);
    expect(refused).toMatchObject({
      code: "GATE_NOT_MET",
      kind: "refused",
      message: `gate rights: role ${ROLE} (migrate.appRole) lacks SELECT on notes; SELECT, INSERT, UPDATE, DELETE on odd"name, orders`,
    });
    one.sqlite("INSERT INTO orders(note) VALUES ('goes on')");
    expect(await migrationStatus(request())).toMatchObject({ phase: "loaded", refused: false });
    const { remedy } = refused as { remedy: string };
    const [, statements = ""] =
      /^rights: as the owner of the tables or a superuser: (.*)\. Whoever decides/.exec(remedy) ??
      [];
    expect(statements.split("; ")).toEqual((await rights()).grants);
    await run(statements);
    expect(await rights()).toMatchObject({ lacking: [], sequences: [], grants: [] });
    const { gates } = await cutoverMigration({
      ...request(),
      onCutover: () => asProduct(`${WORK}; SELECT nextval('orders_id_seq')`),
    });
    expect(gates.at(-1)).toMatchObject({ name: "rights", ok: true, skipped: false });
  });

  it("may be passed over as a gate by whoever decides", async () => {
    await load();
    const { gates } = await cutoverMigration({ ...request(), skip: ["rights"] });
    expect(gates.at(-1)).toMatchObject({ name: "rights", ok: false, skipped: true });
    await expect(asProduct(WORK)).rejects.toThrow("permission denied");
  });

  it("needs no right on the sequence of an identity, which is told apart", async () => {
    await load();
    const grants = (await rights()).grants.filter((sql) => !sql.includes("SEQUENCE"));
    await run(grants.join(";"));
    const found = await rights();
    expect(found).toMatchObject({
      lacking: [],
      sequences: ["orders_id_seq"],
    });
    await asProduct(WORK);
    await run(found.grants.join(";"));
    expect(await rights()).toMatchObject({ sequences: [], grants: [] });
  });

  it("is told each single right that it lacks", async () => {
    await load();
    await run((await rights()).grants.join(";"));
    for (const [take, told, give] of [
      ...["SELECT", "INSERT", "UPDATE", "DELETE"].map((right) => [
        `REVOKE ${right} ON orders FROM ${QUOTED}`,
        `${right} on orders`,
        `GRANT ${right} ON orders TO ${QUOTED}`,
      ]),
      [
        `REVOKE SELECT ON notes FROM ${QUOTED}`,
        "SELECT on notes",
        `GRANT SELECT ON notes TO ${QUOTED}`,
      ],
      [
        "REVOKE USAGE ON SCHEMA public FROM PUBLIC",
        "USAGE of schema public",
        "GRANT USAGE ON SCHEMA public TO PUBLIC",
      ],
      [
        `REVOKE CONNECT ON DATABASE ${database} FROM PUBLIC`,
        `CONNECT to database ${database}`,
        `GRANT CONNECT ON DATABASE ${database} TO PUBLIC`,
      ],
      [
        `CREATE SEQUENCE called OWNED BY orders.id`,
        "USAGE of sequence called",
        "DROP SEQUENCE called",
      ],
    ] as const) {
      await run(take ?? "");
      const found = await rights();
      expect(found.lacking).toEqual([told]);
      expect(found.grants).toHaveLength(1);
      await run(found.grants.join(";"));
      expect(await lacking()).toEqual([]);
      await run(give ?? "");
    }
  });

  it("lacks nothing that it has in whatever way, and has nothing that it would have to ask for", async () => {
    await load();
    const owner = (role: string) =>
      `ALTER TABLE orders OWNER TO ${role}; ALTER TABLE "odd""name" OWNER TO ${role}; ALTER VIEW notes OWNER TO ${role}`;
    const all = "GRANT ALL ON ALL TABLES IN SCHEMA public TO";
    for (const [sql, has] of [
      [owner(QUOTED), true],
      [`${owner("helper")}; GRANT helper TO ${QUOTED}`, true],
      [`ALTER ROLE ${QUOTED} SUPERUSER`, true],
      [`GRANT pg_read_all_data, pg_write_all_data TO ${QUOTED}`, true],
      [`${all} helper; ALTER ROLE ${QUOTED} NOINHERIT; GRANT helper TO ${QUOTED}`, false],
      [`${all} PUBLIC`, true],
    ] as const) {
      expect(await lacking()).not.toEqual([]);
      await run(sql);
      expect((await lacking()).length === 0, sql).toBe(has);
      await reset();
    }
  });

  it("is told before the load what that would not give, and loads give it once the statements were run", async () => {
    const schema = "moved";
    const plan = () => planMigration({ ...request(), schema });
    const [finding] = (await plan()).findings.filter(({ id }) => id.startsWith("app-role"));
    expect(finding).toMatchObject({
      id: "app-role-rights",
      severity: "warning",
      summary: `after a load role ${ROLE} (migrate.appRole) would lack USAGE of schema moved; SELECT, INSERT, UPDATE, DELETE on the tables that a load makes`,
    });
    await run(finding?.proposal ?? "");
    expect((await plan()).findings).toEqual([]);
    await loadMigration({ ...request(), schema, live: true });
    expect(await rights(ROLE, schema)).toMatchObject({ loaded: true, lacking: [], sequences: [] });
  });

  const NONE = "SELECT, INSERT, UPDATE, DELETE on the tables that a load makes";
  it.each([
    ["what everybody is given", "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO PUBLIC", []],
    [
      "what a role that it belongs to is given",
      `IN SCHEMA public GRANT ALL ON TABLES TO helper; GRANT helper TO ${QUOTED}`,
      [],
    ],
    [
      "that it may read and write all there is",
      `GRANT ALL ON TYPES TO helper; GRANT pg_read_all_data, pg_write_all_data TO ${QUOTED}`,
      [],
    ],
    ["what is given in another schema", `IN SCHEMA other GRANT ALL ON TABLES TO ${QUOTED}`, [NONE]],
    ["sequences to be used", `GRANT USAGE ON SEQUENCES TO ${QUOTED}`, [NONE]],
    [
      "sequences to be set, by which they can be used",
      `GRANT UPDATE ON SEQUENCES TO ${QUOTED}`,
      [NONE],
    ],
    ["what another gives", `FOR ROLE helper GRANT ALL ON TABLES TO ${QUOTED}`, [NONE]],
    [
      "some of it",
      `IN SCHEMA public GRANT SELECT, DELETE ON TABLES TO ${QUOTED}`,
      ["INSERT, UPDATE on the tables that a load makes"],
    ],
  ])("is told before the load as the load will have it: %s", async (_, defaults, wanted) => {
    await run(`CREATE SCHEMA other; ALTER DEFAULT PRIVILEGES ${defaults}`);
    const before = await rights();
    expect(before).toMatchObject({ loaded: false, lacking: wanted });
    await load();
    const after = await rights();
    expect([after.loaded, after.lacking.length > 0]).toEqual([true, wanted.length > 0]);
    expect(after.sequences.length > 0).toBe(before.sequences.length > 0);
  });

  it("that loads itself lacks nothing, and one that is not there is told so", async () => {
    expect(await rights("postgres")).toMatchObject({ exists: true, lacking: [], grants: [] });
    const { signal } = new AbortController();
    const plain = { role: new URL(one.url).username };
    expect(await askAppRights({ url: one.url }, plain, signal)).toMatchObject({
      ...{ exists: true, loaded: false, lacking: [], sequences: [], grants: [] },
    });
    await load();
    expect(await rights("postgres")).toMatchObject({ loaded: true, lacking: [], grants: [] });
    await expect(cutoverMigration({ ...request(), appRole: "nobody's" })).rejects.toMatchObject({
      code: "GATE_NOT_MET",
      message: "gate rights: role nobody's (migrate.appRole) is not there in Postgres",
      remedy: expect.stringContaining(`CREATE ROLE "nobody's" LOGIN`),
    });
  });

  it("is given all of it by the script of least rights, where it is known by then", async () => {
    const role = `mover_${process.pid}`;
    await cluster.query(
      leastPrivilegeScript({ role, database, migrateInto: "public", appRole: ROLE }),
      database,
    );
    await run(`ALTER ROLE ${role} PASSWORD 'x'`);
    const url = new URL(one.url);
    url.username = role;
    url.password = "x";
    await loadMigration({ ...request(), postgres: { url: url.href }, live: true });
    expect(await rights()).toMatchObject({ loaded: true, lacking: [], sequences: [] });
    await run(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
  });
});
