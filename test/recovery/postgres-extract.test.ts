import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { hasProgram, postgresEngine } from "@lifeboat/postgres";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { startCluster, type TestCluster, tablespaceFolder } from "../support/postgres.ts";
import { restoreBeside } from "../support/postgres-copies.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

let cluster: TestCluster;
let kept: ClusterRepository;
let folder: string;
let canDump = true;

beforeAll(async () => {
  cluster = await startCluster();
  canDump = await hasProgram(cluster.programs, "pg_dump");
  kept = await repositoryBeside(cluster);
  folder = join(cluster.directory, "out");
  await mkdir(folder);
  await cluster.query("create database other", "postgres");
  await cluster.query("create table far(n int)", "other");
  await cluster.query('create schema "odd.name"');
  await cluster.query('create table "odd.name"."Items"(n int primary key)');
  await cluster.query('insert into "odd.name"."Items" select generate_series(1, 500)');
  await cluster.query("create table orders(n int primary key, what text)");
  await cluster.query("insert into orders select n, 'order ' || n from generate_series(1, 100) n");
  await cluster.query('create table "Parted"(n int, part int) partition by list (part)');
  await cluster.query(
    'create table "odd.name"."First" partition of "Parted" for values in (1) partition by list (n)',
  );
  await cluster.query('create table "odd.name".deep partition of "odd.name"."First" default');
  const space = await tablespaceFolder(cluster, "space");
  await cluster.query(`create tablespace "a space" location '${space}'`);
  await cluster.query(
    'create table second partition of "Parted" for values in (2) tablespace "a space"',
  );
  await cluster.query('insert into "Parted" values (11, 1), (22, 2)');
  // Who extracts is the copy's superuser: nothing that others put on the path may answer in its sessions.
  await cluster.query("create function public.quote_ident(name) returns text return 'planted'");
  await kept.take();
  await cluster.query("drop function public.quote_ident(name)");
  await cluster.query('drop table orders, "Parted"');
  await cluster.query('drop schema "odd.name" cascade');
  await cluster.query('drop tablespace "a space"');
  // Of these libpq hears, where our own connections do not.
  vi.stubEnv("PGSERVICE", "elsewhere");
  vi.stubEnv("PGHOSTADDR", "192.0.2.1");
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await cluster?.stop();
});

let count = 0;
let to = "";
afterEach(async () => {
  // No server is left on the copy, and nothing half-done beside what was extracted.
  expect((await readdir(to).catch((): string[] => [])).includes("postmaster.pid")).toBe(false);
  expect((await readdir(folder)).filter((name) => name.startsWith("."))).toEqual([]);
});

function extracting(name: string, into: string) {
  to = join(cluster.directory, `aside-${count++}`);
  return restoreBeside(cluster, kept, {
    ...{ to, fetchCommand: ["false"], extract: { name, into } },
    tablespaceMapping: new Map([[join(cluster.directory, "space"), `${to}-space`]]),
  });
}

const contentOf = async (file: string) =>
  (await execa(join(cluster.programs.directory, "pg_restore"), ["--file=-", file])).stdout;

test("a table that was dropped comes out of a copy as a dump that only its owner can read", async ({
  skip,
}) => {
  if (!canDump) skip("there is no pg_dump");
  const file = join(folder, "orders.dump");
  const report = await extracting("orders", file);
  const { size, mode } = await stat(file);
  expect(report.extracted).toEqual({ name: "orders", bytes: size });
  expect(mode & 0o777).toBe(0o600);
  const content = await contentOf(file);
  expect(content).toContain("100\torder 100");
  expect(content).not.toContain("Items");
});

test("it comes straight into a live database, all of it or nothing", async ({ skip }) => {
  if (!canDump) skip("there is no pg_dump");
  await extracting("public.orders", cluster.superuserUrl);
  const [row] = await cluster.query<{ n: string }>("select count(*) as n from orders");
  expect(row?.n).toBe("100");
  // Only the copy tells of its partitions, and in which schemas they lie.
  await cluster.query("create table second as select 7 as n");
  await expect(extracting("Parted", cluster.superuserUrl)).rejects.toMatchObject({
    code: "EXTRACT_FAILED",
    message: expect.stringContaining("already exists"),
  });
  expect(await cluster.query("select n from second")).toEqual([{ n: 7 }]);
  expect(await cluster.query("select from pg_tables where tablename = 'Parted'")).toEqual([]);
  expect(await cluster.query("select from pg_namespace where nspname = 'odd.name'")).toEqual([]);
  await cluster.query("drop table second");
});

test("on its way it lies where nobody else can enter, the server's account neither", async ({
  skip,
}) => {
  if (!canDump) skip("there is no pg_dump");
  const programs = join(cluster.directory, "programs");
  const seen = join(cluster.directory, "seen");
  await mkdir(programs);
  for (const name of await readdir(cluster.programs.directory))
    if (name !== "pg_restore")
      await symlink(join(cluster.programs.directory, name), join(programs, name));
  const restoring = join(cluster.programs.directory, "pg_restore");
  // The real one, once it has been written down where the dump lies (its last argument).
  const script = `#!/bin/sh
for dump; do :; done
stat -c '%a %u' "$dump" "\${dump%/*}" > "${seen}"
exec "${restoring}" "$@"
`;
  await writeFile(join(programs, "pg_restore"), script, { mode: 0o755 });
  await cluster.query("create database filled", "postgres");
  const into = new URL(cluster.superuserUrl);
  into.pathname = "/filled";
  to = join(cluster.directory, `aside-${count++}`);
  await restoreBeside(cluster, kept, {
    ...{ to, fetchCommand: ["false"], extract: { name: "orders", into: into.href } },
    engines: [postgresEngine({ binDirectory: programs })],
  });
  const own = process.getuid?.();
  const [file = "", folder = ""] = (await readFile(seen, "utf8")).trim().split("\n");
  expect(folder).toBe(`700 ${own}`);
  expect(file.endsWith(` ${own}`)).toBe(true);
  const [row] = await cluster.query<{ n: string }>("select count(*) as n from orders", "filled");
  expect(row?.n).toBe("100");
});

test("names are found whatever they are made of, in any database, and a whole database too", async ({
  skip,
}) => {
  if (!canDump) skip("there is no pg_dump");
  const file = (name: string) => join(folder, name);
  await extracting('"odd.name"."Items"', file("items.sql"));
  expect(await readFile(file("items.sql"), "utf8")).toContain('COPY "odd.name"."Items"');
  await extracting("other.public.far", file("far.dump"));
  expect(await contentOf(file("far.dump"))).toContain("CREATE TABLE public.far");
  await extracting("app", file("app.dump"));
  const whole = await contentOf(file("app.dump"));
  expect(whole).toContain("order 100");
  expect(whole).toContain('"odd.name"."Items"');
});

test("a table's partitions come with it, and theirs, their schema too where it is missing", async ({
  skip,
}) => {
  if (!canDump) skip("there is no pg_dump");
  const { extracted } = await extracting("Parted", cluster.superuserUrl);
  expect(extracted?.notes).toEqual([
    "schema odd.name was made for it",
    "it lies in the database's own tablespace: the target has no tablespace a space",
  ]);
  const parted = await cluster.query('select n, part from "Parted" order by n');
  expect(parted).toEqual([
    { n: 11, part: 1 },
    { n: 22, part: 2 },
  ]);
});

test("what is not there is said with what is", async ({ skip }) => {
  if (!canDump) skip("there is no pg_dump");
  await expect(extracting("nothing", join(folder, "nothing.dump"))).rejects.toMatchObject({
    code: "EXTRACT_NOT_FOUND",
    kind: "not-found",
    // The replay was not in vain.
    remedy: expect.stringMatching(
      new RegExp(
        `app, other, postgres; or ask the copy by hand, .*pg_ctl start -D ${to} .*archive_mode=off`,
      ),
    ),
  });
  expect(await readdir(folder)).not.toContain("nothing.dump");
});

test("a target that cannot take it is found out before anything is fetched", async ({ skip }) => {
  if (!canDump) skip("there is no pg_dump");
  const at = (database: string, user?: string) => {
    const url = new URL(cluster.superuserUrl);
    url.pathname = `/${database}`;
    if (user) [url.username, url.password] = [user, "secret"];
    return url.href;
  };
  const refused = async (name: string, into: string) => {
    const failure = await extracting(name, into).catch((cause: unknown) => cause);
    expect(failure).toBeInstanceOf(LifeboatError);
    const { code, kind, message, remedy, details } = failure as LifeboatError;
    expect(await readdir(to).catch(() => "nothing")).toBe("nothing");
    expect(`${message}${remedy}${JSON.stringify(details)}`).not.toContain(new URL(into).password);
    expect(`${message}${remedy}`).not.toContain("postgres.url");
    return `${kind} ${code}: ${message}`;
  };
  await cluster.query("create role helpless login password 'secret'");
  await cluster.query("revoke create on schema public from public", "other");
  expect(await refused("orders", at("missing"))).toMatch(/^failed DATABASE_MISSING/);
  expect(await refused("orders", at("other", "nobody"))).toMatch(/^failed (AUTH|ROLE)/);
  expect(await refused("orders", at("other", "helpless"))).toMatch(
    /^failed TARGET_RIGHTS_MISSING: role "helpless" may make no table in database "other"/,
  );
  expect(await refused("sales.placed", at("other", "helpless"))).toMatch(
    /TARGET_RIGHTS_MISSING: database "other" on .* has no schema sales, and role "helpless" may not make it/,
  );
  // The named schema counts, whatever others there are to write into.
  await cluster.query("create schema helpless authorization helpless", "other");
  expect(await refused("public.orders", at("other", "helpless"))).toMatch(
    /TARGET_RIGHTS_MISSING: role "helpless" may make no table in schema public of database "other"/,
  );
  const standing = /^refused TARGET_NOT_EMPTY: database "other" on .* has public\.far already/;
  for (const name of ["far", "public.far", "app.public.far"])
    expect(await refused(name, at("other"))).toMatch(standing);
  expect(await refused("app", at("other"))).toMatch(/^refused TARGET_NOT_EMPTY: .*public\.far/);
});
