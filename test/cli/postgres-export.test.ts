import { mkdir, readdir, readFile, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { hasProgram, programPath } from "@lifeboat/postgres";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  availableMajors,
  startCluster,
  type TestCluster,
  tablespaceFolder,
} from "../support/postgres.ts";
import { fillAssortment, type Picture, pictureOf } from "../support/postgres-assortment.ts";
import { errorOf, Place } from "./command.ts";

/** A server of each version that is here; dumps are taken from those that have pg_dump. */
const majors = await availableMajors();
const oldest = majors[0] as number;
const newest = majors.at(-1) as number;
const pairs = majors.flatMap((from) =>
  majors.filter((to) => to >= from).map((to) => [from, to] as const),
);

let place: Place;
const clusters = new Map<number, TestCluster>();
const whole = new Map<number, Picture>();
const ids = new Map<number, string>();

const cluster = (major: number) => clusters.get(major) as TestCluster;

/** Scratch folders are made here, so that what is left of one is seen. */
const temporary = () => place.at("tmp");

/** By which the server's own programs, left alone, would ask another server than the one that was named. */
const ELSEWHERE = { PGSERVICE: "elsewhere", PGHOSTADDR: "192.0.2.1" };

function run(words: readonly string[], url = cluster(oldest).superuserUrl) {
  return place.run([...words, "--json"], { SHOP_URL: url, TMPDIR: temporary(), ...ELSEWHERE });
}

let count = 0;
async function emptyDatabase(major: number): Promise<URL> {
  const name = `target_${count++}`;
  await cluster(major).query(`create database ${name} template template0`, "postgres");
  const url = new URL(cluster(major).superuserUrl);
  url.pathname = `/${name}`;
  return url;
}

async function ask(url: URL, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    return Object.values((await client.query(sql)).rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}

beforeAll(async () => {
  place = await Place.make();
  await mkdir(temporary());
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    postgres: { url: { env: "SHOP_URL" } },
  });
  for (const major of majors) {
    const made = await startCluster({ major });
    clusters.set(major, made);
    if (await hasProgram(made.programs, "pg_dump")) {
      await fillAssortment(made);
      await made.query('create role "may ""read""; TO x"');
      await made.query('grant select on sales.orders to "may ""read""; TO x" with grant option');
      await made.query("grant select on sales.orders to public");
      whole.set(major, await pictureOf(made.superuserUrl));
      const ran = await run(["export"], made.superuserUrl);
      expect(ran).toMatchObject({ status: 0 });
      ids.set(major, JSON.parse(ran.stdout).id);
    } else {
      await made.query('create role "odd owner"');
      await made.query('create role "may ""read""; TO x"');
    }
  }
});

afterAll(async () => {
  for (const each of clusters.values()) await each.stop();
  await place?.[Symbol.asyncDispose]();
});

describe("an export comes back, row for row,", () => {
  test.for(pairs)("from %s into %s", async ([from, to], { skip }) => {
    const id = ids.get(from);
    if (id === undefined) return skip(`there is no pg_dump ${from}`);
    const target = await emptyDatabase(to);
    const ran = await run(["import", "--from", id, "--into", target.href]);
    expect(`${ran.stderr}${ran.stdout}`).not.toContain(target.password);
    expect(ran).toMatchObject({ status: 0 });
    const into = `postgres://postgres@127.0.0.1:${cluster(to).port}${target.pathname}`;
    expect(JSON.parse(ran.stdout)).toMatchObject({ from: id, into, tables: 6 });
    expect(await pictureOf(target.href)).toEqual(whole.get(from));
    // Sequences and identities go on where they were.
    expect(await ask(target, "select nextval('sales.numbers')")).toBe("55");
    expect(
      await ask(
        target,
        "insert into sales.orders (amount) values (2.5) returning id || ' ' || doubled",
      ),
    ).toBe("5001 5.00");
    expect(await readdir(temporary())).toEqual([]);
  });
});

test("list shows exports, and windows and backups know nothing of them", async () => {
  const ran = await run(["list"]);
  const { exports, backups, windows, problems } = JSON.parse(ran.stdout);
  expect({ backups, windows, problems }).toEqual({ backups: [], windows: [], problems: [] });
  expect(exports.map((each: { id: string }) => each.id)).toEqual([...ids.values()].sort());
  expect(exports[0]).toMatchObject({ app: "shop", database: "app" });
  expect(Math.floor(exports[0].serverVersion / 10_000)).toBe(oldest);
  expect(exports[0].storedBytes).toBeLessThan(exports[0].sourceBytes);
  const shown = await place.run(["list"], { SHOP_URL: cluster(oldest).url });
  expect(shown.stdout).toContain(ids.get(oldest));
});

test("roles and tablespaces lie beside the dump, without passwords", async () => {
  const folder = await exportFolder(ids.get(oldest) as string);
  const sql = String(zstdDecompressSync(await readFile(join(folder, "globals.sql.zst"))));
  expect(sql).toContain('CREATE ROLE "odd owner"');
  expect(sql).toContain("CREATE ROLE lifeboat");
  expect(sql).not.toMatch(/PASSWORD '/);
});

test("an export without pg_dumpall is good, and says what it lacks", async () => {
  const programs = place.at("programs");
  await mkdir(programs);
  const { programs: own } = cluster(oldest);
  for (const name of ["pg_dump", "pg_restore"] as const)
    await symlink(programPath(own, name), join(programs, name));
  await place.write("other.json", {
    app: "other",
    repository: { type: "filesystem", path: "repository" },
    postgres: { url: { env: "SHOP_URL" }, binDirectory: programs },
  });
  const ran = await run(["export", "--config", "other.json"]);
  expect(ran).toMatchObject({ status: 0 });
  // A link leads to the installation itself where PostgreSQL's own wrapper is not one.
  const { findings } = JSON.parse(ran.stdout);
  expect(findings.map(({ id }: { id: string }) => id)).toEqual(["globals-left-out"]);
});

async function exportFolder(id: string): Promise<string> {
  const clustersOf = place.at("repository", "shop", "postgres");
  for (const system of await readdir(clustersOf)) {
    const folder = join(clustersOf, system, "exports", id);
    if (await stat(folder).catch(() => undefined)) return folder;
  }
  throw new Error(`there is no folder of ${id}`);
}

describe("what cannot be loaded is refused before anything is touched:", () => {
  test("a database that is not empty, with what it holds", async () => {
    const ran = await run([
      "import",
      "--from",
      ids.get(oldest) as string,
      "--into",
      cluster(oldest).superuserUrl,
    ]);
    expect(ran.status).toBe(3);
    const { code, message } = errorOf(ran);
    expect(code).toBe("TARGET_NOT_EMPTY");
    expect(message).toContain("6 tables (");
    expect(message).toContain("1 large object (4711)");
    expect(message).toContain('schemas ("Odd.Schema" …)');
  });

  test("a dump of a newer server into an older one", async ({ skip }) => {
    const from = [...ids.keys()].findLast((major) => major > oldest);
    if (from === undefined) return skip("there is one pg_dump only");
    const target = await emptyDatabase(oldest);
    const ran = await run(["import", "--from", ids.get(from) as string, "--into", target.href]);
    expect(ran.status).toBe(3);
    expect(errorOf(ran)).toMatchObject({
      code: "SERVER_TOO_OLD",
      message: expect.stringContaining(`the target is PostgreSQL ${oldest}.`),
      remedy: expect.stringContaining(`version ${from} or newer`),
    });
  });

  test("owners that the target does not know, unless they are left behind", async () => {
    const bare = await startCluster({ major: newest });
    try {
      await bare.query('create database "it\'s \\ odd" template template0', "postgres");
      const target = new URL(bare.superuserUrl);
      target.pathname = `/${encodeURIComponent("it's \\ odd")}`;
      const words = ["import", "--from", ids.get(oldest) as string, "--into", target.href];
      const other = new pg.Client({ connectionString: target.href });
      await other.connect();
      await other.query("select pg_advisory_lock(hashtext('lifeboat import'))");
      const locked = await run(words).finally(() => other.end());
      expect(locked.status).toBe(4);
      expect(errorOf(locked).code).toBe("LOCKED");
      const ran = await run(words);
      expect(ran.status).toBe(3);
      expect(errorOf(ran)).toMatchObject({
        code: "ROLES_MISSING",
        message: expect.stringContaining("owner"),
      });
      await bare.query('create role "odd owner"');
      const rights = await run(words);
      expect(rights.status).toBe(3);
      expect(errorOf(rights).message).toMatch(/does not know: may "read"; TO x$/);
      expect(await run([...words, "--no-owner", "--jobs", "1"])).toMatchObject({ status: 0 });
      expect((await pictureOf(target.href)).tables).toEqual(whole.get(oldest)?.tables);
    } finally {
      await bare.stop();
    }
  });

  test("a dump whose tablespaces the target server lacks is refused, or loaded without them", async () => {
    const { query, superuserUrl } = cluster(oldest);
    const folder = await tablespaceFolder(cluster(oldest), "fast");
    await query(`create tablespace "Fast disk" location '${folder}'`);
    await query("create database spaced");
    await query('create table t(n int) tablespace "Fast disk"', "spaced");
    const source = new URL(superuserUrl);
    source.pathname = "/spaced";
    expect(await run(["export", "--to", "spaced.tar.zst"], source.href)).toMatchObject({
      status: 0,
    });
    await query("drop database spaced");
    await query('drop tablespace "Fast disk"');
    const target = await emptyDatabase(oldest);
    const words = ["import", "--from", "spaced.tar.zst", "--into", target.href];
    const refused = await run(words);
    expect(refused.status).toBe(3);
    expect(errorOf(refused)).toMatchObject({
      code: "TABLESPACES_MISSING",
      details: { tablespaces: ["Fast disk"] },
    });
    expect(await run([...words, "--no-tablespaces"])).toMatchObject({ status: 0 });
  });

  test.each([
    ["no such export", ["--from", "20200101T000000.000Z-export"], 5, "EXPORT_NOT_FOUND"],
    ["no such file", ["--from", "missing.tar.zst"], 5, "FILE_NOT_FOUND"],
  ])("%s", async (_, words, status, code) => {
    const target = await emptyDatabase(oldest);
    const ran = await run(["import", ...words, "--into", target.href]);
    expect({ status: ran.status, code: errorOf(ran).code }).toEqual({ status, code });
  });

  test("a target that is no URL, and one that is not there", async () => {
    const from = ids.get(oldest) as string;
    expect(await run(["import", "--from", from, "--into", "shop"])).toMatchObject({ status: 2 });
    const url = new URL(cluster(oldest).superuserUrl);
    url.pathname = "/missing";
    const ran = await run(["import", "--from", from, "--into", url.href]);
    expect(errorOf(ran).code).toBe("DATABASE_MISSING");
    expect(ran.stdout).not.toContain(url.password);
  });
});

test("a role that may not read all tables is told what it lacks, and nothing is kept", async () => {
  const before = JSON.parse((await run(["list"])).stdout).exports.length;
  const ran = await run(["export"], cluster(oldest).url);
  expect(ran.status).toBe(1);
  expect(errorOf(ran)).toMatchObject({
    code: "EXPORT_FAILED",
    message: expect.stringContaining("permission denied for"),
    remedy: expect.stringContaining('grant pg_read_all_data to "lifeboat"'),
  });
  expect(await readdir(temporary())).toEqual([]);
  const { exports } = JSON.parse((await run(["list"])).stdout);
  expect(exports).toHaveLength(before);
  expect(JSON.parse((await run(["verify"])).stdout)).toMatchObject({ ok: true });
  // What it is told is all that it takes, roles and tablespaces included.
  await cluster(oldest).query('grant pg_read_all_data to "lifeboat"');
  const allowed = await run(["export"], cluster(oldest).url);
  expect(allowed).toMatchObject({ status: 0 });
  expect(JSON.parse(allowed.stdout).findings).toEqual([]);
  await cluster(oldest).query('revoke pg_read_all_data from "lifeboat"');
});

test("a table that somebody else locks is waited for, and two exports at once are one", async () => {
  const blocker = new pg.Client({ connectionString: cluster(oldest).superuserUrl });
  await blocker.connect();
  await blocker.query("begin");
  await blocker.query("lock table events_1 in access exclusive mode");
  const first = run(["export"]);
  await waitFor(
    oldest,
    "select from pg_stat_activity where application_name = 'lifeboat' and wait_event_type = 'Lock'",
  );
  const second = await run(["export"]);
  expect(second.status).toBe(4);
  expect(errorOf(second).code).toBe("LOCKED");
  await blocker.query("rollback");
  await blocker.end();
  expect(await first).toMatchObject({ status: 0 });
});

async function waitFor(major: number, sql: string): Promise<void> {
  await expect.poll(async () => (await cluster(major).query(sql)).length).toBeGreaterThan(0);
}
