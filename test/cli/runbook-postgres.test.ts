import { chmod, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sealedJson } from "@lifeboat/core";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { errorOf, Place } from "./command.ts";
import { commandsIn, typed } from "./runbook-commands.ts";

let place: Place;
let cluster: TestCluster;
let url: string;
let stop: string | undefined;

beforeAll(async () => {
  place = await Place.make();
  await chmod(place.path, 0o755);
  cluster = await startCluster();
  await cluster.query("create table orders (id integer primary key, note text)");
  await cluster.query("insert into orders values (1, 'kept')");
  // Where the server that the runbook starts listens: as any server, by its own settings.
  await cluster.query(`alter system set port = ${cluster.port}`);
  await cluster.query(`alter system set unix_socket_directories = '${cluster.directory}'`);
  await cluster.query("alter system set listen_addresses = '127.0.0.1'");
  url = cluster.superuserUrl;
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    postgres: {
      url: { env: "SHOP_URL" },
      dataDirectory: cluster.dataDirectory,
      binDirectory: cluster.programs.directory,
    },
    drill: { checks: [{ name: "has orders", sql: "select count(*) = 1 from orders" }] },
  });
});

afterAll(async () => {
  // A server that the runbook started is nobody's child.
  if (stop) await type(stop).catch(() => {});
  const directory = cluster?.directory;
  await cluster?.stop();
  if (directory) await rm(directory, { recursive: true, force: true });
  await place?.[Symbol.asyncDispose]();
});

const environment = () => ({
  ...place.environment,
  SHOP_URL: url,
  PGPASSWORD: new URL(url).password,
});
const type = (line: string) => typed(line, environment());

async function json(...words: string[]) {
  const ran = await place.run([...words, "--json"], environment());
  expect(ran.status, ran.stderr + ran.stdout).toBe(0);
  return JSON.parse(ran.stdout);
}

async function notes(): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ note: string }>("select note from orders order by id");
    return rows.map(({ note }) => note);
  } finally {
    await client.end();
  }
}

describe("a product in Postgres", () => {
  test("has a runbook of a drill that is typed word by word", async () => {
    await json("backup");
    const { text, steps } = await json("runbook", "drill");
    expect(steps.map(({ id }: { id: string }) => id)).toEqual(["restore", "revive", "check"]);
    const printed: string[] = [];
    for (const line of commandsIn(text).get("Do") ?? []) printed.push(await type(line));
    expect(printed[0]).toContain("ok      has orders");
  });

  test("has a runbook of a restore that is typed word by word and brings it back; its way back, too", async () => {
    await cluster.query("update orders set note = 'mistaken'");
    const { text, steps } = await json("runbook", "restore");
    expect(steps.map(({ id }: { id: string }) => id)).toEqual(["restore", "replay"]);
    expect(steps.every(({ seconds }: { seconds: number | null }) => seconds !== null)).toBe(true);
    expect(text).not.toContain(new URL(url).password);
    const commands = commandsIn(text);
    stop = commands.get("The way back")?.[0];
    const printed: string[] = [];
    // The backup alone: the cluster of this test archives no WAL.
    for (const line of commands.get("Do") ?? []) printed.push(await type(line));
    expect(printed).toContain("f");
    expect(await notes()).toEqual(["kept"]);
    expect((await json("list")).backups).toHaveLength(2);
    for (const line of commands.get("The way back") ?? []) await type(line);
    expect(await notes()).toEqual(["mistaken"]);
  });

  test("has a runbook by the repository alone, which names the place that the manifest names", async () => {
    const own = ["--repository", place.at("repository"), "--app", "shop"];
    const { text } = await json("runbook", "restore", ...own);
    const lines = commandsIn(text).get("Do") ?? [];
    expect(lines.join("\n")).toContain(
      `--app shop restore --engine postgres --to ${cluster.dataDirectory} --replay`,
    );
    // A manifest whose place is none gives nobody a line to type.
    const [system = ""] = await readdir(place.at("repository", "shop", "postgres"));
    const backups = place.at("repository", "shop", "postgres", system, "backups");
    const newest = join(backups, (await readdir(backups)).toSorted().at(-1) ?? "", "manifest.json");
    const manifest = JSON.parse(await readFile(newest, "utf8"));
    const details = { ...manifest.details, dataDirectory: "-rf", tablespaces: 1.5 };
    await rm(newest);
    await writeFile(newest, sealedJson({ ...manifest, details }));
    const ran = await place.run(["runbook", "restore", ...own, "--json"]);
    expect(errorOf(ran).code).toBe("MANIFEST_CORRUPT");
  });
});
