import { chmod, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { startOnFreePort } from "@lifeboat/postgres";
import { execa } from "execa";
import { type StagedCommand, stageCommand } from "lifeboat";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { showDrill } from "../../packages/cli/src/show/drill.ts";
import { ask, startCluster, type TestCluster } from "../support/postgres.ts";
import { errorOf, Place, type Ran } from "./command.ts";
import { bundle } from "./make-bundle.ts";

let place: Place;
let staged: StagedCommand;
let cluster: TestCluster;
let repository: string;
let beforeMistake: string;

/** Runs the command as the server does: staged, by the server's account, in the data directory. */
async function asServer(words: readonly string[]): Promise<Ran> {
  const [node = "", ...script] = staged.command;
  const { uid, gid, foreign } = cluster.account;
  const { exitCode, stdout, stderr } = await execa(node, [...script, ...words], {
    cwd: cluster.dataDirectory,
    reject: false,
    ...(foreign && { uid, gid }),
    env: { HOME: "/nonexistent", LIFEBOAT_STATE_DIRECTORY: join(cluster.directory, "state") },
  });
  return { status: exitCode, stdout, stderr };
}

function atRepository(): string[] {
  return ["--repository", repository, "--app", "shop"];
}

async function archived(segment: string): Promise<void> {
  await expect
    .poll(async () => {
      const [row] = await cluster.query<{ last: string | null }>(
        "select last_archived_wal as last from pg_stat_archiver",
      );
      return row?.last ?? "";
    })
    .satisfies((last: string) => last >= segment);
}

async function switchWal(): Promise<void> {
  const [row] = await cluster.query<{ name: string }>(
    "select pg_walfile_name(pg_current_wal_lsn()) as name",
  );
  await cluster.query("select pg_switch_wal()");
  await archived(row?.name ?? "");
}

beforeAll(async () => {
  place = await Place.make();
  await chmod(place.path, 0o755);
  await bundle(place.at("bundle"));
  staged = await stageCommand(place.at("bundle"));
  cluster = await startCluster();
  repository = join(cluster.directory, "repository");
  const push = [...staged.command, "wal", "push", ...atRepository()].join(" ");
  await cluster.restart({
    archive_mode: "on",
    archive_command: `LIFEBOAT_STATE_DIRECTORY=${cluster.directory}/state ${push} "%p"`,
  });
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: repository },
    postgres: { url: { env: "SHOP_URL" }, dataDirectory: cluster.dataDirectory },
    drill: { checks: [{ name: "has orders", sql: "select count(*) >= 2 from orders" }] },
  });
  await cluster.query("create table orders (id int primary key, note text)");
  await cluster.query("insert into orders values (1, 'first'), (2, 'second')");
  await cluster.query("grant select on orders to lifeboat");
});

afterAll(async () => {
  await cluster?.stop();
  await staged?.remove();
  await place?.[Symbol.asyncDispose]();
});

describe("a Postgres cluster, by the command line", () => {
  test("is examined by doctor, which suggests the archive_command", async () => {
    const ran = await place.run(["doctor", "--json"], { SHOP_URL: cluster.superuserUrl });
    const { findings } = JSON.parse(ran.stdout);
    const suggested = findings.find(({ id }: { id: string }) => id === "archive-command");
    expect(suggested.remedy).toMatch(
      /^archive_command = '.* wal push --repository .* "%p" \|\| exit 1'$/,
    );
    expect(ran.stdout).not.toContain(new URL(cluster.superuserUrl).password);
  });

  test("archives its WAL by the bundle alone, and is backed up while it runs", async () => {
    await switchWal();
    const ran = await place.run(["backup", "--json"], { SHOP_URL: cluster.superuserUrl });
    expect(ran).toMatchObject({ status: 0 });
    expect(JSON.parse(ran.stdout)).toMatchObject({ app: "shop", engine: "postgres", type: "full" });
  });

  test("comes back as it was at the instant before a mistake", async () => {
    await cluster.query("insert into orders values (3, 'third')");
    const [row] = await cluster.query<{ now: Date }>("select clock_timestamp() as now");
    beforeMistake = new Date((row?.now.getTime() ?? 0) + 1).toISOString();
    await cluster.query("select pg_sleep(0.01)");
    await cluster.query("drop table orders");
    await switchWal();
    const to = join(cluster.directory, "copy");
    const ran = await place.run([
      "restore",
      ...atRepository(),
      "--to",
      to,
      "--at",
      beforeMistake,
      "--json",
    ]);
    expect(ran).toMatchObject({ status: 0 });
    const { path, recoveredTo, willRecoverTo, start } = JSON.parse(ran.stdout);
    expect(start).toMatch(/\/pg_ctl start -D /);
    expect(start).toMatch(process.getuid?.() === 0 ? /^su \S+ -s \/bin\/sh -c '/ : /^\//);
    expect(recoveredTo).toBeNull();
    expect(willRecoverTo.time <= beforeMistake).toBe(true);
    const { programs, account } = cluster;
    const copy = await startOnFreePort({
      programs,
      account,
      dataDirectory: path,
      settings: { archive_mode: "off" },
    });
    try {
      await expect
        .poll(
          async () =>
            (await ask<{ r: boolean }>(copy, "select pg_is_in_recovery() as r", "app"))[0]?.r,
        )
        .toBe(false);
      expect(await ask(copy, "select id from orders order by id", "app")).toEqual([
        { id: 1 },
        { id: 2 },
        { id: 3 },
      ]);
      const over = await place.run(["restore", ...atRepository(), "--to", to, "--delta", "--json"]);
      expect(over.status).toBe(3);
      expect(errorOf(over).code).toBe("TARGET_IN_USE");
    } finally {
      await copy.stop();
    }
  });

  test("comes back into the directory of a copy that lived on, which keeps what agrees", async () => {
    const words = ["--to", join(cluster.directory, "copy"), "--at", beforeMistake, "--delta"];
    const ran = await place.run(["restore", ...atRepository(), ...words, "--json"]);
    expect(ran, ran.stdout).toMatchObject({ status: 0 });
    const { delta, recoveredTo, bytes } = JSON.parse(ran.stdout);
    expect(recoveredTo).toBeNull();
    expect(delta.bytesKept).toBeGreaterThan(delta.bytesWritten);
    expect(delta.bytesKept + delta.bytesWritten).toBeLessThan(bytes);
    expect(delta).toMatchObject({
      rangesKept: expect.any(Number),
      rangesWritten: expect.any(Number),
      filesRemoved: expect.any(Number),
    });
    const shown = await place.run(["restore", ...atRepository(), ...words]);
    expect(shown.stdout).toMatch(/kept +\d.* written, \d+ files? removed/);
  });

  test("is drilled at that instant, with the configuration's checks in the product's database", async () => {
    const ran = await place.run(["drill", "--at", beforeMistake, "--keep", "--json"], {
      SHOP_URL: cluster.superuserUrl,
    });
    const report = JSON.parse(ran.stdout);
    const { ok, checks, kept, serverLog } = report;
    expect(checks).toContainEqual({ name: "has orders", ok: true, message: "true" });
    expect(ok).toBe(true);
    expect(await readFile(serverLog, "utf8")).toContain("redo");
    expect(showDrill(report)).toMatch(
      new RegExp(`^copy left in +${kept}\nits server's log +${serverLog}$`, "m"),
    );
    await rm(kept, { recursive: true });
  });

  test("needs neither its server nor its configuration to be listed", async () => {
    const ran = await place.run(["list", ...atRepository(), "--json"]);
    const { live, windows } = JSON.parse(ran.stdout);
    expect(live).toBeNull();
    expect(windows[0]).toMatchObject({ engine: "postgres", timeline: 1 });
  });

  test("refuses a server that cannot be reached, without its password in any word", async () => {
    const url = "postgres://lifeboat:hushhush@127.0.0.1:1/app";
    const ran = await place.run(["backup", "--json"], { SHOP_URL: url });
    expect(ran.status).toBe(1);
    expect(`${ran.stdout}${ran.stderr}`).not.toContain("hushhush");
    expect(errorOf(ran).remedy).not.toBe("");
  });
});

describe("wal fetch, as restore_command runs it,", () => {
  const absent = "0000000100000000000000F0";

  test("is silent and ends with 0 when it laid the segment down", async () => {
    const destination = join(cluster.directory, "fetched");
    const ran = await asServer([
      "wal",
      "fetch",
      "000000010000000000000001",
      destination,
      ...atRepository(),
    ]);
    expect(ran).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(await readdir(cluster.directory)).toContain("fetched");
  });

  test("says what it laid down to a script that asks for JSON", async () => {
    const [name, destination] = [
      "000000010000000000000001",
      join(cluster.directory, "fetched-too"),
    ];
    const ran = await asServer(["wal", "fetch", name, destination, ...atRepository(), "--json"]);
    expect(ran.status).toBe(0);
    expect(JSON.parse(ran.stdout)).toEqual({ name, destination });
  });

  test("ends with 1 only when the archive has no such segment", async () => {
    const ran = await asServer(["wal", "fetch", absent, "x", ...atRepository(), "--json"]);
    expect(ran.status).toBe(1);
    expect(errorOf(ran).code).toBe("WAL_MISSING");
  });

  test("ends with 126 when the repository is gone", async () => {
    await rename(repository, `${repository}-away`);
    try {
      const ran = await asServer(["wal", "fetch", absent, "x", ...atRepository(), "--json"]);
      expect(ran.status).toBe(126);
    } finally {
      await rename(`${repository}-away`, repository);
    }
  });

  test.each([
    ["a missing argument", ["wal", "fetch", absent]],
    ["an unknown option", ["wal", "fetch", absent, "x", "--wrong"]],
    ["a configuration that is not there", ["wal", "fetch", absent, "x", "--config", "/none.json"]],
    ["a name that is none", ["wal", "fetch", "nonsense", "x"]],
  ])("ends with 126 on %s", async (_, words) => {
    expect((await asServer([...words])).status).toBe(126);
  });
});

describe("wal push, as archive_command runs it,", () => {
  test("is silent and ends with 0, also a second time", async () => {
    const ran = await asServer([
      "wal",
      "push",
      "pg_wal/000000010000000000000002",
      ...atRepository(),
    ]);
    expect(ran).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test("fails below 126 on a path that is not there", async () => {
    const ran = await asServer([
      "wal",
      "push",
      "pg_wal/0000000100000000000000FF",
      ...atRepository(),
    ]);
    expect(ran.status).toBe(1);
  });
});
