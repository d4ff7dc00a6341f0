import { rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { exportToRepository, findExport } from "@lifeboat/core";
import { hasProgram, importDump, postgresDumpSource } from "@lifeboat/postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { fillAssortment, pictureOf } from "../support/postgres-assortment.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

let cluster: TestCluster;
let kept: ClusterRepository;
let id = "";
const { signal } = new AbortController();

beforeAll(async () => {
  cluster = await startCluster();
  if (!(await hasProgram(cluster.programs, "pg_dump"))) throw new Error("there is no pg_dump");
  kept = await repositoryBeside(cluster);
  await fillAssortment(cluster);
  const connection = { url: cluster.superuserUrl };
  const source = postgresDumpSource({ connection, partBytes: 20_000, jobs: 3 });
  ({ id } = await exportToRepository({ repository: kept.repository, source, signal }));
});
afterAll(() => cluster?.stop());

async function load(name: string) {
  await cluster.query(`create database ${name} template template0`, "postgres");
  const into = cluster.superuserUrl.replace(/app$/, name);
  const origin = await findExport(kept.repository, id);
  await importDump({ origin, into, noOwner: false, signal });
  return into;
}

test("a dump in several parts comes back whole", async () => {
  const { manifest } = await findExport(kept.repository, id);
  const parts = manifest.objects.filter(({ role }) => role === "dump");
  expect(parts.length).toBeGreaterThan(2);
  expect(await pictureOf(await load("whole"))).toEqual(await pictureOf(cluster.superuserUrl));
});

test("parts that were swapped are found", async () => {
  const { folder } = await findExport(kept.repository, id);
  const place = (name: string) => kept.file(join(folder.exportPath(id), name));
  expect((await stat(place("dump.0002.tar.zst"))).isFile()).toBe(true);
  const swap = async () => {
    await rename(place("dump.0001.tar.zst"), place("other"));
    await rename(place("dump.0002.tar.zst"), place("dump.0001.tar.zst"));
    await rename(place("other"), place("dump.0002.tar.zst"));
  };
  await swap();
  await expect(load("swapped")).rejects.toMatchObject({ code: "CHECKSUM_MISMATCH" });
  await swap();
  expect(await cluster.query("select from pg_class where relname = 'orders'", "swapped")).toEqual(
    [],
  );
});
