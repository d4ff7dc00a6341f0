import { existsSync } from "node:fs";
import { chmod, chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { makeLedger } from "../support/sqlite.ts";
import { BIN, errorOf, Place } from "./command.ts";

let place: Place;
let cluster: TestCluster;
let repository: string;

beforeAll(async () => {
  place = await Place.make();
  await chmod(place.path, 0o755);
  cluster = await startCluster({ settings: { archive_mode: "on" }, initdb: ["--wal-segsize=1"] });
  repository = join(cluster.directory, "repository");
  const { uid, gid, foreign } = cluster.account;
  await mkdir(repository, { mode: 0o700 });
  if (foreign) await chown(repository, uid, gid);
  await configure({});
  await cluster.query("create table ledger(n int)");
});
afterAll(async () => {
  await cluster?.stop();
  await place?.[Symbol.asyncDispose]();
});

async function configure(
  archive: Record<string, unknown>,
  more: Record<string, unknown> = {},
): Promise<void> {
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: repository },
    postgres: { url: { env: "SHOP_URL" }, dataDirectory: cluster.dataDirectory },
    archive,
    ...more,
  });
}

const environment = () => ({ SHOP_URL: cluster.superuserUrl });
const run = (...words: string[]) => place.run(words, environment());

/** A command that runs until it is told to stop. */
function service(...words: string[]) {
  return execa(process.execPath, [BIN, ...words], {
    cwd: place.path,
    env: { ...place.environment, ...environment() },
    reject: false,
  });
}

async function status() {
  const ran = await run("status", "--json");
  return JSON.parse(ran.stdout);
}

describe("the WAL of a Postgres cluster, by the command line", () => {
  test("watch answers the archive_command that doctor prints, and goes when it is told to", async () => {
    const { findings } = JSON.parse((await run("doctor", "--json")).stdout);
    const printed = findings.find(({ id }: { id: string }) => id === "archive-command").remedy;
    // The program itself is not to be reached: only the watch can have pushed.
    const command = printed
      .replace(/^archive_command = /, "")
      .replace(/\|\| .* \|\|/, "|| false ||");
    await cluster.query(`alter system set archive_command = ${command}`);
    await cluster.query("select pg_reload_conf()");
    const watch = service("watch", "--quiet");
    const pid = join(cluster.dataDirectory, "pg_wal/lifeboat.push/pid");
    await expect.poll(() => existsSync(pid)).toBe(true);
    await cluster.query("insert into ledger values (1)");
    const [row] = await cluster.query<{ name: string }>(
      "select pg_walfile_name(pg_switch_wal()) as name",
    );
    await expect
      .poll(async () => (await status()).archive)
      .toMatchObject({ ok: true, lastSegment: row?.name, oldestUnarchived: null });
    watch.kill("SIGTERM");
    expect((await watch).exitCode).toBe(143);
    expect(existsSync(pid)).toBe(false);
  });

  test("watch --engine postgres serves it while the product still lives in SQLite", async () => {
    makeLedger(place.at("app.db"));
    await configure({}, { sqlite: { path: "app.db" } });
    const watch = service("watch", "--engine", "postgres", "--quiet");
    const pid = join(cluster.dataDirectory, "pg_wal/lifeboat.push/pid");
    await expect.poll(() => existsSync(pid)).toBe(true);
    watch.kill("SIGTERM");
    expect((await watch).exitCode).toBe(143);
    await configure({});
  });

  test.runIf(process.getuid?.() === 0)(
    "doctor tells root of a repository that the server's account may not write",
    async () => {
      const closed = async () => {
        const { findings } = JSON.parse((await run("doctor", "--json")).stdout);
        return findings.find(({ id }: { id: string }) => id === "repository-closed");
      };
      expect(await closed()).toBeUndefined();
      const folder = join(repository, "shop");
      await chown(folder, 0, 0);
      const said = `"${cluster.account.name}" may not write`;
      expect((await closed()).summary).toContain(said);
      // The server itself tells where its data directory is.
      await configure({}, { postgres: { url: { env: "SHOP_URL" } } });
      expect((await closed()).summary).toContain(said);
      await configure({});
      await chown(folder, cluster.account.uid, cluster.account.gid);
    },
  );

  test("wal receive streams until it is told to stop, ships the rest, and leaves its slot", async () => {
    await configure({ mode: "receive" });
    expect((await status()).alerts.map(({ id }: { id: string }) => id)).toContain(
      "receiver-stopped",
    );
    const receiving = service("wal", "receive", "--slot", "shop_wal");
    await expect
      .poll(async () => (await status()).archive)
      .toMatchObject({ ok: true, lagBytes: 0 });
    const { findings } = JSON.parse((await run("backup", "--json")).stdout);
    const second = await run("wal", "receive", "--slot", "shop_wal", "--json");
    expect(second.status).toBe(4);
    expect(errorOf(second)).toMatchObject({
      code: "LOCKED",
      message: expect.stringContaining("through slot shop_wal"),
    });
    // Where a receiver ships the WAL, a backup has nothing to say of an archiver.
    expect(findings.map(({ id }: { id: string }) => id)).not.toContain("archive-timeout-off");
    await cluster.query("insert into ledger values (2)");
    receiving.kill("SIGTERM");
    const { exitCode, stdout, stderr } = await receiving;
    expect({ exitCode, stdout }).toEqual({ exitCode: 143, stdout: "" });
    // What it received, and up to where: all that the archive has.
    const said = /stopped by SIGTERM: the WAL from \S+ up to (\S+) \(timeline 1\)/.exec(stderr);
    expect(stderr).not.toContain("work was done already");
    const [row] = await cluster.query<{ lsn: string }>(
      "select restart_lsn::text as lsn from pg_replication_slots where slot_name = 'shop_wal'",
    );
    expect(said?.[1]).toBe(row?.lsn);
    expect(stderr).toContain("replication slot shop_wal");
    const { slots } = JSON.parse((await run("slots", "--json")).stdout);
    expect(slots).toMatchObject([{ name: "shop_wal", active: false, verdict: "inactive" }]);
    // The server itself writes a little now and then.
    expect((await status()).archive.lagBytes).toBeLessThan(1 << 20);
    expect((await run("slots", "--drop", "shop_wal")).status).toBe(0);
  });

  test("a slot's name that no server takes, and a server that is not there, are said at once", async () => {
    const named = await run("wal", "receive", "--slot", "Shop", "--json");
    expect([named.status, errorOf(named).code]).toEqual([2, "SLOT_NAME_INVALID"]);
    const nobody = { SHOP_URL: "postgres://nobody@127.0.0.1:1/nothing" };
    const away = await place.run(["wal", "receive", "--json"], nobody);
    expect([away.status, errorOf(away).code]).toEqual([1, "SERVER_UNREACHABLE"]);
  });

  test("standby makes one, says how it is started, and removes it", async () => {
    const to = join(cluster.directory, "standby");
    const made = await run("standby", "--to", to, "--json");
    expect(made).toMatchObject({ status: 0 });
    const document = JSON.parse(made.stdout);
    expect(document).toMatchObject({
      path: to,
      slot: "lifeboat_standby_standby",
      streaming: false,
    });
    expect(document.startLsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    expect(document.start).toContain(`-D ${to}`);
    const again = await run("standby", "--to", to, "--json");
    expect([again.status, errorOf(again).code]).toEqual([3, "TARGET_NOT_EMPTY"]);
    const inside = await run("standby", "--to", join(repository, "shop", "standby"), "--json");
    expect([inside.status, errorOf(inside).code]).toEqual([3, "TARGET_IN_REPOSITORY"]);
    const below = await run("standby", "--to", join(cluster.dataDirectory, "standby"), "--json");
    expect([below.status, errorOf(below).code]).toEqual([3, "TARGET_IN_DATA_DIRECTORY"]);
    expect((await run("standby", "--remove", to)).stdout).toContain("lifeboat_standby_standby");
    expect(existsSync(to)).toBe(false);
    expect(JSON.parse((await run("slots", "--json")).stdout)).toEqual({ slots: [] });
    for (const words of [
      [],
      ["--to", to, "--remove", to],
      ["--to", to, "--slot", "a", "--without-slot"],
    ])
      expect((await run("standby", ...words)).status).toBe(2);
  });

  test("a standby that does not start is said with the slot that it leaves, and how to drop it", async () => {
    const to = join(cluster.directory, "broken one");
    // Read by the standby alone: the primary would have to be started again.
    await cluster.query("alter system set shared_preload_libraries = 'no_such_library'");
    try {
      const ran = await run("standby", "--to", to, "--start", "--json");
      expect(ran.status).toBe(1);
      const { code, message, remedy, details } = errorOf(ran);
      expect(code).toBe("STANDBY_ENDED");
      expect(message).toContain("no_such_library");
      expect(message).toContain(`${to} stays`);
      expect(message).toContain("replication slot lifeboat_standby_broken_one");
      expect(remedy).toContain(`lifeboat standby --remove '${to}'`);
      expect(remedy).toContain("lifeboat slots --drop lifeboat_standby_broken_one");
      expect(details).toMatchObject({ path: to, slot: "lifeboat_standby_broken_one" });
      expect(await run("standby", "--remove", to)).toMatchObject({ status: 0 });
      expect(JSON.parse((await run("slots", "--json")).stdout)).toEqual({ slots: [] });
    } finally {
      await cluster.query("alter system reset shared_preload_libraries");
    }
  });

  test("what archive says is checked", async () => {
    for (const archive of [
      { mode: "receive", maxBacklog: "1G" },
      { policy: "database" },
      { maxBacklog: "much" },
    ]) {
      await configure(archive);
      expect((await run("slots")).status).toBe(2);
    }
    await configure({ maxBacklog: "10G" });
    const { findings } = JSON.parse((await run("doctor", "--json")).stdout);
    const printed = findings.find(({ id }: { id: string }) => id === "archive-command").remedy;
    expect(printed).toContain("--max-backlog 10737418240");
  });
});
