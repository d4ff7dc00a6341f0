import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hasProgram } from "@lifeboat/postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { errorOf, Place } from "./command.ts";

let place: Place;
let cluster: TestCluster;
const run = (words: string[]) => place.run(words, { SHOP_URL: cluster.url });

beforeAll(async () => {
  place = await Place.make();
  cluster = await startCluster();
  await cluster.query("create table orders (id int primary key)");
  await cluster.query("insert into orders values (1), (2)");
  // Makes a part of its own, and nothing touches it any more.
  await cluster.query(
    "create table still as select repeat(md5(n::text), 50) from generate_series(1, 17000) n",
  );
  await cluster.query("vacuum (freeze) still");
  await cluster.query(
    "grant execute on function pg_backup_start(text, boolean), pg_backup_stop(boolean) to lifeboat",
  );
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    postgres: { url: { env: "SHOP_URL" } },
  });
  expect(await run(["backup", "--jobs", "2", "--max-rate", "200M", "--json"])).toMatchObject({
    status: 0,
  });
});
afterAll(async () => {
  await cluster?.stop();
  await place?.[Symbol.asyncDispose]();
});

test("a backup that was interrupted is gone on with, and the report tells what was taken over", async () => {
  const interrupted = async () => {
    const [newest] = JSON.parse((await run(["list", "--json"])).stdout).backups;
    const folder = place.at(`repository/shop/postgres/${newest.database}`);
    await mkdir(join(folder, "unfinished"), { mode: 0o700 });
    await writeFile(join(folder, "unfinished", `${newest.id}.json`), "{}\n");
    await rm(join(folder, "backups", newest.id, "manifest.json"));
    return newest.id;
  };
  const id = await interrupted();
  const { stdout } = await run(["backup", "--jobs", "2", "--json"]);
  const report = JSON.parse(stdout);
  expect(report.id).toBe(id);
  expect(report.reused.objects).toBeGreaterThan(0);
  expect(report.reused.sourceBytes).toBeGreaterThan(32 << 20);
  await interrupted();
  expect((await run(["backup", "--jobs", "2"])).stdout).toMatch(/^taken over +\d/m);
});

test("doctor --sql prints the script of the configured role, for psql", async () => {
  const ran = await run(["doctor", "--sql"]);
  expect(ran.status).toBe(0);
  expect(ran.stdout).toContain('alter role "lifeboat" login replication;');
  expect(ran.stdout).toContain("in database app");
  expect(ran.stdout).not.toContain(new URL(cluster.url).password);
  const { ok, findings, sql } = JSON.parse((await run(["doctor", "--sql", "--json"])).stdout);
  expect({ ok, findings, sql }).toEqual({ ok: true, findings: [], sql: ran.stdout });
});

test("doctor --sql with a superuser's URL prints the script of a role of Lifeboat's own", async () => {
  const ran = await place.run(["doctor", "--sql"], { SHOP_URL: cluster.superuserUrl });
  expect(ran.status).toBe(0);
  expect(ran.stdout).toContain('alter role "lifeboat" login replication;');
  expect(ran.stdout).toContain('-- postgres.url names "postgres", a superuser');
  expect(ran.stdout).not.toMatch(/to "postgres"|role "postgres"/);
  // By another name than the usual one, and by the very name of the role that the script makes.
  await cluster.query("create role chief superuser login password 'a'");
  const chief = new URL(cluster.superuserUrl);
  Object.assign(chief, { username: "chief", password: "a" });
  const other = await place.run(["doctor", "--sql"], { SHOP_URL: chief.href });
  expect(other.stdout).toContain('grant pg_monitor to "lifeboat";');
  await cluster.query("alter role lifeboat superuser");
  try {
    const own = await run(["doctor", "--sql"]);
    expect(own.stdout).toContain('grant pg_monitor to "lifeboat_backup";');
  } finally {
    await cluster.query("alter role lifeboat nosuperuser");
  }
});

test("doctor --sql prints the script of a role that is not there yet", async () => {
  const missing = new URL(cluster.url);
  missing.username = "newcomer";
  const ran = await place.run(["doctor", "--sql"], { SHOP_URL: missing.href });
  expect(ran).toMatchObject({ status: 0 });
  expect(ran.stdout).toContain('create role "newcomer";');
});

test.each([
  [
    "an old server's incremental backup",
    ["backup", "--type", "incremental"],
    2,
    "INCREMENTAL_UNSUPPORTED",
  ],
  [
    "several workers on one stream",
    ["backup", "--transport", "wire", "--jobs", "4"],
    2,
    "TRANSPORT_UNFIT",
  ],
  ["--extract without a place", ["restore", "--to", "aside", "--extract", "orders"], 2, "USAGE"],
  [
    "a place for what is not extracted",
    ["restore", "--to", "aside", "--into", "o.sql"],
    2,
    "USAGE",
  ],
  [
    "a file that is there",
    ["restore", "--to", "aside", "--extract", "orders", "--into", "lifeboat.config.json"],
    3,
    "TARGET_NOT_EMPTY",
  ],
])("%s is refused before anything is touched", async (_, words, status, code) => {
  const ran = await run([...words, "--json"]);
  expect({ status: ran.status, code: errorOf(ran).code }).toEqual({ status, code });
});

test("restore --extract brings one table out, as SQL where the file's name says so", async ({
  skip,
}) => {
  if (!(await hasProgram(cluster.programs, "pg_dump"))) skip("there is no pg_dump");
  const to = join(cluster.directory, "aside");
  const into = place.at("orders.sql");
  await writeFile(into, "old");
  const words = ["restore", "--to", to, "--extract", "orders", "--into", into, "--force", "--json"];
  const ran = await run(words);
  expect(ran).toMatchObject({ status: 0 });
  const { extracted } = JSON.parse(ran.stdout);
  const sql = await readFile(into, "utf8");
  expect(extracted).toEqual({ name: "orders", bytes: sql.length });
  expect(sql).toContain("COPY public.orders (id) FROM stdin;\n1\n2\n");
});
