import { access, appendFile, chmod, mkdir, rm } from "node:fs/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { errorOf, Place } from "./command.ts";

let place: Place;
let cluster: TestCluster;

beforeAll(async () => {
  place = await Place.make();
  await chmod(place.path, 0o755);
  cluster = await startCluster();
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    postgres: { url: { env: "SHOP_URL" }, dataDirectory: cluster.dataDirectory },
  });
  const taken = await place.run(["backup", "--quiet"], { SHOP_URL: cluster.superuserUrl });
  expect(taken).toMatchObject({ status: 0 });
});

afterAll(async () => {
  await cluster?.stop();
  await place?.[Symbol.asyncDispose]();
});

describe("what restore says of the copy of a cluster", () => {
  const restore = (to: string) =>
    place.run(["restore", "--repository", "repository", "--app", "shop", "--to", to, "--json"]);

  test.runIf(process.getuid?.() === 0)(
    "is that the server's account cannot read a repository of root's",
    async () => {
      const { findings } = JSON.parse((await restore("unreadable")).stdout);
      const found = findings.find(({ id }: { id: string }) => id === "repository-unreachable");
      expect(found.remedy).toContain("--replay");
      await execa("chown", ["-R", cluster.account.name, place.at("repository")]);
    },
  );

  test("starts it when pasted as it stands, also as root", async () => {
    const ran = await restore("copy");
    expect(ran).toMatchObject({ status: 0 });
    const { start, path } = JSON.parse(ran.stdout);
    expect(start).toContain(` -l ${path}/recovery.log`);
    const stop = start.replace(/ start -D (\S+) -l \S+recovery\.log/, " stop -m immediate -D $1");
    // Its original runs on this machine: a socket of its own, and no port.
    const own = `listen_addresses = ''\nunix_socket_directories = '${path}'\n`;
    await appendFile(`${path}/postgresql.auto.conf`, own);
    try {
      await execa("sh", ["-c", start], { cwd: "/" });
      await access(`${path}/postmaster.pid`);
    } finally {
      await execa("sh", ["-c", stop], { cwd: "/", reject: false });
      await rm(path, { recursive: true });
    }
  });

  test.runIf(process.getuid?.() === 0)(
    "names a folder through which the server's account cannot go",
    async () => {
      await mkdir(place.at("closed"), { mode: 0o700 });
      const { findings } = JSON.parse((await restore("closed/copy")).stdout);
      expect(findings.map(({ id }: { id: string }) => id)).toContain("copy-unreachable");
    },
  );

  test("names the databases that there are when --database names another", async () => {
    const words = ["--repository", "repository", "--app", "shop", "--database", "nope"];
    const ran = await place.run(["restore", ...words, "--to", "no", "--json"]);
    expect(ran.status).toBe(5);
    expect(errorOf(ran).code).toBe("DATABASE_NOT_FOUND");
  });
});

test("doctor's archive_command is read back as it is meant from SQL and from postgresql.conf, whatever the path", async () => {
  await place.write("odd.json", {
    app: "shop",
    repository: { type: "filesystem", path: "o'dd \\ place" },
    postgres: { url: cluster.superuserUrl },
  });
  const ran = await place.run(["doctor", "--json", "--config", "odd.json"]);
  const findings: { id: string; remedy: string }[] = JSON.parse(ran.stdout).findings;
  const remedyOf = (wanted: string) => findings.find(({ id }) => id === wanted)?.remedy ?? "";
  const commandIn = async (file: string) => {
    const [row] = await cluster.query<{ setting: string | null }>(
      `select setting from pg_file_settings
       where name = 'archive_command' and error is null and sourcefile like '%/${file}'`,
    );
    return row?.setting;
  };
  await appendFile(
    `${cluster.dataDirectory}/postgresql.conf`,
    `\n${remedyOf("archive-command")}\n`,
  );
  const [, sql] = /alter system set (archive_command = .*); then/.exec(
    remedyOf("archive-mode-off"),
  ) ?? [""];
  await cluster.query(`alter system set ${sql}`);
  const command = await commandIn("postgresql.conf");
  expect(command).toContain(`'${place.at("o'\\''dd \\ place")}'`);
  expect(await commandIn("postgresql.auto.conf")).toBe(command);
});

test("doctor puts the archive_command of this installation into the remedy for missing archiving", async () => {
  const ran = await place.run(["doctor", "--json"], { SHOP_URL: cluster.superuserUrl });
  const off = JSON.parse(ran.stdout).findings.find(
    ({ id }: { id: string }) => id === "archive-mode-off",
  );
  const [, setting] = /alter system set (archive_command = '.*'); then/.exec(off.remedy) ?? [];
  await cluster.query(`alter system set ${setting}`);
  const [row] = await cluster.query<{ n: number }>(
    "select count(*)::int as n from pg_file_settings where name = 'archive_command'",
  );
  expect(row?.n).toBeGreaterThan(0);
});
