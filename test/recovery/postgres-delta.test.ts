import { createHash } from "node:crypto";
import {
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join, relative } from "node:path";
import { backup, type RestoreOrder } from "@lifeboat/core";
import { hasProgram, postgresEngine } from "@lifeboat/postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ask,
  availableMajors,
  startCluster,
  type TestCluster,
  tablespaceFolder,
} from "../support/postgres.ts";
import { restoreBeside, runProgram, startAsItIs } from "../support/postgres-copies.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

/** Everything below a directory: files by their content, links by what they lead to, and every mode and owner. */
async function contentOf(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const look = async (place: string) => {
    const { mode, uid } = await lstat(place);
    const entries = await readdir(place, { withFileTypes: true });
    found.set(`${relative(directory, place)}/`, `${(mode & 0o7777).toString(8)} ${uid}`);
    for (const entry of entries) {
      const path = join(place, entry.name);
      const name = relative(directory, path);
      if (entry.isSymbolicLink()) found.set(name, `→ ${await readlink(path)}`);
      else if (entry.isDirectory()) await look(path);
      else {
        const own = await lstat(path);
        const sha256 = createHash("sha256").update(await readFile(path)).digest("hex");
        found.set(name, `${(own.mode & 0o7777).toString(8)} ${own.uid} ${own.size} ${sha256}`);
      }
    }
  };
  await look(directory);
  return found;
}

describe.each(await availableMajors())("a delta restore of version %i", (major) => {
  let cluster: TestCluster;
  let store: ClusterRepository;
  let fast: string;

  beforeAll(async () => {
    cluster = await startCluster({ major });
    store = await repositoryBeside(cluster);
    fast = await tablespaceFolder(cluster, "fast");
    await cluster.query(`create tablespace fast location '${fast}'`);
    await cluster.query(
      "create table big as select n, repeat(md5(n::text), 30) as filler from generate_series(1, 20000) n",
    );
    await cluster.query("create index on big(n)");
    await cluster.query("create table kept tablespace fast as select generate_series(1, 90000) n");
    await store.take();
  }, 60_000);
  afterAll(() => cluster?.stop());

  const place = (name: string) => join(cluster.directory, name);
  const into = (name: string): Partial<RestoreOrder> & { to: string } => ({
    to: place(name),
    tablespaceMapping: new Map([[fast, place(`${name}-fast`)]]),
  });
  const plain = (name: string) => restoreBeside(cluster, store, into(name));
  const delta = (name: string, order: Partial<RestoreOrder> = {}) =>
    restoreBeside(cluster, store, { ...into(name), delta: true, ...order });

  /** As a fresh restore to the same place leaves it. */
  async function freshly(name: string) {
    const aside = place(`${name}-aside`);
    await rename(place(name), aside);
    await rename(place(`${name}-fast`), `${aside}-fast`);
    await plain(name);
    const found = [await contentOf(place(name)), await contentOf(place(`${name}-fast`))];
    for (const each of [name, `${name}-fast`]) await rm(place(each), { recursive: true });
    await rename(aside, place(name));
    await rename(`${aside}-fast`, place(`${name}-fast`));
    return found;
  }
  const standing = async (name: string) => [
    await contentOf(place(name)),
    await contentOf(place(`${name}-fast`)),
  ];

  /** Lets the copy recover, changes rows in it, and stops it. */
  async function lived(name: string): Promise<void> {
    await rm(join(place(name), "recovery.signal"));
    const server = await startAsItIs(cluster, place(name));
    await server.accepting("postgres");
    await ask(server, "update big set filler = 'changed' where n % 500 = 0", "app");
    await ask(server, "create table later as select generate_series(1, 5000) n", "app");
    await ask(server, "delete from kept where n < 100", "app");
    await server.stop();
  }

  test("yields what a full restore yields, and writes only what differs", async () => {
    await plain("lived");
    await lived("lived");
    const expected = await freshly("lived");
    const report = await delta("lived");
    expect(await standing("lived")).toEqual(expected);
    console.log(major, report.delta, report.verified, report.findings);
  });
});
