import { createHash } from "node:crypto";
import {
  copyFile,
  cp,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { basename, join } from "node:path";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { ownProcessMark } from "@lifeboat/core";
import { hasProgram } from "@lifeboat/postgres";
import { execa } from "execa";
import pg from "pg";
import { extract, pack } from "tar-stream";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { descendants } from "../support/kill-tree.ts";
import { has } from "../support/outside-programs.ts";
import { startCluster, type TestCluster, tablespaceFolder } from "../support/postgres.ts";
import { BIN, errorOf, Place, type Ran } from "./command.ts";

let place: Place;
let cluster: TestCluster;
let id: string;
let file: string;
const env = () => ({ SHOP_URL: cluster.superuserUrl, TMPDIR: place.at("tmp") });
const run = (words: readonly string[]) => place.run([...words, "--json"], env());
const ROWS = 3000;

let count = 0;
async function emptyDatabase(): Promise<URL> {
  const name = `target_${count++}`;
  await cluster.query(`create database ${name} template template0`, "postgres");
  const url = new URL(cluster.superuserUrl);
  url.pathname = `/${name}`;
  return url;
}

const nameOf = (url: URL) => url.pathname.slice(1);
const tablesOf = async (url: URL) =>
  (
    await cluster.query<{ name: string }>(
      "select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1",
      nameOf(url),
    )
  ).map(({ name }) => name);

beforeAll(async () => {
  place = await Place.make();
  await mkdir(place.at("tmp"));
  cluster = await startCluster();
  if (!(await hasProgram(cluster.programs, "pg_dump"))) throw new Error("there is no pg_dump");
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    postgres: { url: { env: "SHOP_URL" } },
  });
  // In databases of these names the rows are not let in, or not yet.
  await cluster.query(`create function gate(n int) returns boolean language plpgsql as $$
    begin
      if n = 2000 and current_database() like 'slow%' then perform pg_sleep(600); end if;
      if n = 2000 and current_database() like 'bad%' then raise 'secret row %', n; end if;
      return true;
    end $$`);
  await cluster.query("create table orders (n int check (gate(n)), what text)");
  await cluster.query(
    `insert into orders select n, repeat(md5(n::text), 20) from generate_series(1, ${ROWS}) n`,
  );
  await cluster.query(
    `create tablespace aside location '${await tablespaceFolder(cluster, "aside")}'`,
  );
  await cluster.query("create table small tablespace aside as select 1 as n");
  const ran = await run(["export"]);
  expect(ran).toMatchObject({ status: 0 });
  id = JSON.parse(ran.stdout).id;
  file = place.at("shop.tar.zst");
  expect(await run(["export", "--to", file])).toMatchObject({ status: 0 });
});
afterAll(async () => {
  await cluster?.stop();
  await place?.[Symbol.asyncDispose]();
});

afterEach(async () => {
  // Whatever went wrong: no scratch folder, no session, no half file.
  await expect.poll(() => readdir(place.at("tmp"))).toEqual([]);
  await expect.poll(sessions).toEqual([]);
  expect((await readdir(place.path)).filter((name) => name.startsWith("."))).toEqual([]);
});

const sessions = () =>
  cluster.query("select query from pg_stat_activity where application_name = 'lifeboat'");

const into = (url: URL, from = id, ...more: string[]) =>
  run(["import", "--from", from, "--into", url.href, ...more]);

describe("a dump in a file of its own", () => {
  test("is closed to others, says what it is, and comes back without a configuration", async () => {
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const target = await emptyDatabase();
    const words = ["import", "--from", file, "--into", target.href, "--jobs", "1", "--json"];
    await mkdir(place.at("elsewhere"), { recursive: true });
    const { stdout, exitCode } = await execa(process.execPath, [BIN, ...words], {
      cwd: "/",
      env: { ...place.environment, TMPDIR: place.at("tmp") },
      reject: false,
    });
    expect(exitCode, stdout).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ from: file, tables: 2 });
    expect(await tablesOf(target)).toEqual(["orders", "small"]);
    const [row] = await cluster.query("select count(*)::int as n from orders", nameOf(target));
    expect(row).toEqual({ n: ROWS });
  });

  test("takes no other file's place, and needs a folder that is there", async () => {
    const before = await readFile(file);
    const ran = await run(["export", "--to", file]);
    expect({ status: ran.status, code: errorOf(ran).code }).toEqual({
      status: 3,
      code: "TARGET_NOT_EMPTY",
    });
    expect(await readFile(file)).toEqual(before);
    const nowhere = await run(["export", "--to", place.at("no", "where.tar.zst")]);
    expect({ status: nowhere.status, code: errorOf(nowhere).code }).toEqual({
      status: 2,
      code: "TARGET_FOLDER_MISSING",
    });
    const inside = await run(["export", "--to", place.at("repository", "shop", "x.tar.zst")]);
    expect({ status: inside.status, code: errorOf(inside).code }).toEqual({
      status: 3,
      code: "TARGET_IN_REPOSITORY",
    });
  });

  test("removes what a run that was killed left at its place, and no living one's", async () => {
    const dead = ownProcessMark().replace(/-\d+-\d+$/, "-999999999-1");
    const left = place.at(`.next.tar.zst.lifeboat-${dead}-abcd`);
    const living = place.at(`.next.tar.zst.lifeboat-${ownProcessMark()}-abcd`);
    await writeFile(left, "half");
    await writeFile(living, "half");
    expect(await run(["export", "--to", place.at("next.tar.zst")])).toMatchObject({ status: 0 });
    const there = await readdir(place.path);
    expect(there.filter((name) => name.includes(".lifeboat-"))).toEqual([basename(living)]);
    await rm(living);
  });

  test.runIf(has("zstd", "tar", "sha256sum"))("is checked and loaded by hand", async () => {
    const folder = place.at("by-hand");
    await mkdir(folder);
    const script = `zstd -dc "${file}" | tar -x -C "${folder}" && cd "${folder}" && sha256sum -c --quiet SHA256SUMS && ls`;
    const { stdout } = await execa("bash", ["-ec", script]);
    expect(stdout.split("\n")).toEqual(["SHA256SUMS", "dump", "export.json", "globals.sql"]);
  });
});

interface Entry {
  name: string;
  type: "file" | "symlink";
  content: Buffer;
}

/** The same file with other entries. */
async function forged(name: string, change: (entries: Entry[]) => Entry[]): Promise<string> {
  const entries: Entry[] = [];
  const tar = extract();
  tar.end(zstdDecompressSync(await readFile(file)));
  for await (const entry of tar) {
    const parts: Uint8Array[] = [];
    for await (const chunk of entry) parts.push(chunk as Uint8Array);
    entries.push({ name: entry.header.name, type: "file", content: Buffer.concat(parts) });
  }
  const made = pack();
  for (const entry of change(entries))
    made.entry(
      { name: entry.name, type: entry.type, ...(entry.type === "symlink" && { linkname: "/etc" }) },
      entry.content,
    );
  made.finalize();
  const parts: Uint8Array[] = [];
  for await (const chunk of made) parts.push(chunk as Uint8Array);
  const path = place.at(name);
  await writeFile(path, zstdCompressSync(Buffer.concat(parts)));
  return path;
}

const plus =
  (name: string, type: Entry["type"] = "file") =>
  (entries: Entry[]) => [
    ...entries,
    { name, type, content: Buffer.from(type === "file" ? "hostile" : "") },
  ];

describe("a file that is not what export wrote never reaches the database:", () => {
  test.each<[string, () => Promise<string>, string]>([
    ["one that leads out of its folder", () => forged("a.zst", plus("../out")), "ARCHIVE_UNSAFE"],
    ["an absolute path", () => forged("b.zst", plus("/tmp/out")), "ARCHIVE_UNSAFE"],
    ["a link", () => forged("c.zst", plus("dump/link", "symlink")), "ARCHIVE_UNSAFE"],
    ["a file that no dump has", () => forged("d.zst", plus("evil.sh")), "ARCHIVE_UNSAFE"],
    [
      "a file that the sums do not name",
      () => forged("e.zst", plus("dump/1.dat")),
      "CHECKSUM_MISMATCH",
    ],
    [
      "one that lacks a table's rows, which the sums name",
      () =>
        forged("k.zst", (entries) => entries.filter(({ name }) => !/^dump\/\d+\.dat/.test(name))),
      "CHECKSUM_MISMATCH",
    ],
    [
      "other bytes in an entry",
      () =>
        forged("f.zst", (entries) =>
          entries.map((entry) =>
            entry.name === "dump/toc.dat"
              ? { ...entry, content: Buffer.from(entry.content).fill(0, 40, 50) }
              : entry,
          ),
        ),
      "CHECKSUM_MISMATCH",
    ],
    [
      "one that was cut between two entries",
      () => forged("g.zst", (entries) => entries.slice(0, -1)),
      "CHECKSUM_MISMATCH",
    ],
    [
      "one that was cut in the midst",
      async () => {
        await copyFile(file, place.at("h.zst"));
        await truncate(place.at("h.zst"), Math.floor((await stat(file)).size / 2));
        return place.at("h.zst");
      },
      "CHECKSUM_MISMATCH",
    ],
    ["text", () => place.write("i.zst", "create table t()"), "CHECKSUM_MISMATCH"],
    ["nothing", () => place.write("j.zst", ""), "CHECKSUM_MISMATCH"],
  ])("%s", async (_, make, code) => {
    const target = await emptyDatabase();
    const ran = await into(target, await make());
    expect({ status: ran.status, code: errorOf(ran).code }).toEqual({ status: 1, code });
    expect(await tablesOf(target)).toEqual([]);
  });
});

test("a file whose list of contents leads to another file of this host brings nothing of that into the database", async () => {
  const secret = await place.write("secret.txt", "1\tsecret\n");
  const rows = /\0([\s\S]{4})(\d+\.dat)/g;
  const hostile = await forged("l.zst", (entries) => {
    const list = entries.find(({ name }) => name === "dump/toc.dat") as Entry;
    const way = `${"../".repeat(30)}${secret.slice(1)}`;
    const size = Buffer.alloc(4);
    size.writeUInt32LE(way.length);
    const named = `\0${size.toString("latin1")}${way}`;
    list.content = Buffer.from(list.content.toString("latin1").replaceAll(rows, named), "latin1");
    const sum = createHash("sha256").update(list.content).digest("hex");
    const sums = entries.at(-1) as Entry;
    sums.content = Buffer.from(
      sums.content.toString().replace(/^\w+(?= {2}dump\/toc\.dat$)/m, sum),
    );
    return entries;
  });
  const target = await emptyDatabase();
  const { code, message, remedy } = errorOf(await into(target, hostile, "--jobs", "1"));
  expect({ code, message }).toEqual({
    code: "IMPORT_FAILED",
    message: 'pg_restore failed: file name too long: "dump"; the target is as empty as before',
  });
  expect(remedy).toContain("whose origin is known");
});

async function exportFolder(of = id): Promise<string> {
  const root = place.at("repository", "shop", "postgres");
  const [system] = await readdir(root);
  return join(root, system as string, "exports", of);
}

describe("an export in the repository", () => {
  test("that is damaged is named by verify, and never reaches the database", async () => {
    const folder = await exportFolder();
    const object = join(folder, "dump.0001.tar.zst");
    const whole = await readFile(object);
    const damaged = Buffer.from(whole);
    damaged[Math.floor(damaged.length / 2)] = (damaged[Math.floor(damaged.length / 2)] ?? 0) ^ 1;
    await rm(object);
    await writeFile(object, damaged);
    const checked = await run(["verify", "--deep"]);
    expect(checked.status).toBe(1);
    expect(JSON.parse(checked.stdout).problems).toMatchObject([
      { code: "CHECKSUM_MISMATCH", object: expect.stringContaining("dump.0001.tar.zst") },
    ]);
    const target = await emptyDatabase();
    expect(errorOf(await into(target)).code).toBe("CHECKSUM_MISMATCH");
    await rm(object);
    expect(errorOf(await into(target)).code).toBe("OBJECT_MISSING");
    expect(await tablesOf(target)).toEqual([]);
    await writeFile(object, whole);
    expect(await run(["verify", "--deep"])).toMatchObject({ status: 0 });
  });

  test("whose manifest was moved or altered is no export", async () => {
    const folder = await exportFolder();
    const other = "20200101T000000.000Z-export";
    await cp(folder, await exportFolder(other), { recursive: true });
    const target = await emptyDatabase();
    expect(errorOf(await into(target, other)).code).toBe("MANIFEST_CORRUPT");
    const checked = JSON.parse((await run(["verify"])).stdout);
    expect(checked.problems).toMatchObject([{ code: "MANIFEST_CORRUPT" }]);
    await rm(await exportFolder(other), { recursive: true });
  });

  test.runIf(has("zstd", "tar", "sha256sum", "python3")).each([
    ["as it was", "createdb", "aside"],
    ["without its tablespaces", "--no-tablespaces", null],
  ])("comes back by the words of RESTORE.md alone, %s", async (_, load, tablespace) => {
    const guide = await readFile(place.at("repository", "RESTORE.md"), "utf8");
    const blocks = (guide.match(/(?:^ {4}.*\n)+/gm) ?? []).map((each) =>
      each.replaceAll(/^ {4}/gm, ""),
    );
    const block = (words: string) => blocks.find((each) => each.includes(words)) as string;
    const folder = await exportFolder();
    const target = await emptyDatabase();
    await cluster.query(`drop database ${nameOf(target)}`, "postgres");
    const script = [block("sha256sum -c"), block("dump.*.tar.zst"), block(load)]
      .join("")
      .replace(/^cd .*$/m, `cd ${folder}`)
      .replaceAll("/restore", place.at(`restored-${nameOf(target)}`))
      .replaceAll("NAME", nameOf(target));
    const { stdout, stderr } = await execa("bash", ["-ec", script], {
      env: {
        PATH: `${cluster.programs.directory}:${process.env.PATH}`,
        PGHOST: "127.0.0.1",
        PGPORT: String(cluster.port),
        PGUSER: "postgres",
        PGPASSWORD: target.password,
      },
    });
    expect(stdout.match(/: OK/g)).toHaveLength(2);
    // The roles, and where it is asked for the tablespace, are there: psql says so, and goes on.
    expect(stderr.includes('tablespace "aside" already exists')).toBe(tablespace !== null);
    expect(await tablesOf(target)).toEqual(["orders", "small"]);
    const lies = "select tablespace as place from pg_tables where tablename = 'small'";
    expect(await cluster.query(lies, nameOf(target))).toEqual([{ place: tablespace }]);
  });
});

async function namedDatabase(name: string): Promise<URL> {
  const url = new URL(cluster.superuserUrl);
  url.pathname = `/${name}_${count++}`;
  await cluster.query(`create database ${nameOf(url)} template template0`, "postgres");
  return url;
}

describe("a load that fails says what it left:", () => {
  test("nothing with --jobs 1, and no row is in the message", async () => {
    const target = await namedDatabase("bad");
    const ran = await into(target, id, "--jobs", "1");
    expect(ran.status).toBe(1);
    const { code, message } = errorOf(ran);
    expect(code).toBe("IMPORT_FAILED");
    expect(message).toContain("the target is as empty as before");
    expect(message).not.toContain("repeat");
    expect(await tablesOf(target)).toEqual([]);
    // As empty as before: the next one is not refused for what is there, but fails in the same way.
    expect(errorOf(await into(target, id, "--jobs", "1")).code).toBe("IMPORT_FAILED");
  });

  test("what was committed with more, and how to begin anew", async () => {
    const target = await namedDatabase("bad");
    const { code, message, remedy } = errorOf(await into(target, id, "--jobs", "2"));
    expect(code).toBe("IMPORT_FAILED");
    expect(message).toContain("2 tables (public.orders …)");
    expect(remedy).toContain(`drop database "${nameOf(target)}"`);
    expect(errorOf(await into(target)).code).toBe("TARGET_NOT_EMPTY");
  });
});

/** Starts a command and waits until the server is in the midst of it. */
async function inTheMidst(words: readonly string[], sql: string) {
  const child = execa(process.execPath, [BIN, ...words, "--json"], {
    cwd: place.path,
    env: { ...place.environment, ...env() },
    reject: false,
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await expect.poll(async () => (await cluster.query(sql, "postgres")).length).toBeGreaterThan(0);
  const ended = async (): Promise<Ran> => {
    const { exitCode, stdout, stderr } = await child;
    return { status: exitCode, stdout, stderr };
  };
  return { child, ended };
}

const SLEEPS = "select from pg_stat_activity where wait_event = 'PgSleep'";

describe("a load that is stopped half-way", () => {
  test("says what was committed by then, and leaves nothing running", async () => {
    const target = await namedDatabase("slow");
    const { child, ended } = await inTheMidst(
      ["import", "--from", id, "--into", target.href, "--jobs", "2"],
      SLEEPS,
    );
    // That of the command itself is its caller's; no program that it runs has the password.
    const below = await descendants(child.pid as number);
    const { stdout: commands } = await execa("ps", ["-o", "args=", "-p", below.join()]);
    expect(commands).toContain("pg_restore");
    expect(commands).not.toContain(target.password);
    child.kill("SIGTERM");
    const ran = await ended();
    expect(ran.status).toBe(143);
    expect(errorOf(ran)).toMatchObject({
      code: "IMPORT_STOPPED",
      message: expect.stringContaining("2 tables"),
      remedy: expect.stringContaining("drop database"),
    });
  });

  test("in one transaction leaves the target empty", async () => {
    const target = await namedDatabase("slow");
    const words = ["import", "--from", id, "--into", target.href, "--jobs", "1"];
    const { child, ended } = await inTheMidst(words, SLEEPS);
    const second = await into(target);
    expect({ status: second.status, code: errorOf(second).code }).toEqual({
      status: 4,
      code: "LOCKED",
    });
    child.kill("SIGINT");
    const ran = await ended();
    expect(ran.status).toBe(130);
    expect(errorOf(ran).code).toBe("STOPPED");
    expect(await tablesOf(target)).toEqual([]);
  });

  test("by -9 leaves no pg_restore and no scratch folder either", async () => {
    const target = await namedDatabase("slow");
    const words = ["import", "--from", id, "--into", target.href];
    const { child, ended } = await inTheMidst(words, SLEEPS);
    child.kill("SIGKILL");
    await ended();
    // afterEach waits until all of it is gone.
  });
});

describe("an export that is stopped half-way", () => {
  const LOCKED =
    "select from pg_stat_activity where application_name = 'lifeboat' and wait_event_type = 'Lock'";
  let blocker: pg.Client;
  beforeAll(async () => {
    blocker = new pg.Client({ connectionString: cluster.superuserUrl });
    await blocker.connect();
    await blocker.query("begin");
    await blocker.query("lock table small in access exclusive mode");
  });
  afterAll(() => blocker.end());

  test.each([
    ["SIGTERM", 143],
    ["SIGKILL", undefined],
  ] as const)("by %s leaves nothing that can be seen", async (signal, status) => {
    const { child, ended } = await inTheMidst(["export"], LOCKED);
    child.kill(signal);
    expect((await ended()).status).toBe(status);
    expect(JSON.parse((await run(["list"])).stdout).exports).toHaveLength(1);
    expect(await run(["verify"])).toMatchObject({ status: 0 });
  });

  test("while it stored leaves objects without a manifest, which the next one removes", async () => {
    const id = "20200101T000000.000Z-export";
    const left = await exportFolder(id);
    const marks = join(left, "../../unfinished");
    for (const folder of [left, marks]) await mkdir(folder, { mode: 0o700, recursive: true });
    await writeFile(join(marks, `${id}.json`), "{}\n");
    await copyFile(
      join(await exportFolder(), "dump.0001.tar.zst"),
      join(left, "dump.0001.tar.zst"),
    );
    expect(JSON.parse((await run(["list"])).stdout).exports).toHaveLength(1);
    expect(JSON.parse((await run(["verify"])).stdout).problems).toMatchObject([
      { code: "UNFINISHED", message: expect.stringContaining("the next export removes it") },
    ]);
    await blocker.query("rollback");
    expect(await run(["export"])).toMatchObject({ status: 0 });
    expect(await readdir(left).catch(() => "gone")).toBe("gone");
    expect(await run(["verify", "--deep"])).toMatchObject({ status: 0 });
  });
});
