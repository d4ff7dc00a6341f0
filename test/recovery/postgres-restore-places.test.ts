import { once } from "node:events";
import {
  access,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { StepRunner } from "@lifeboat/core";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseMapping } from "../../packages/cli/src/option-values.ts";
import { ask, startCluster, type TestCluster, tablespaceFolder } from "../support/postgres.ts";
import { restoreBeside, startAsItIs } from "../support/postgres-copies.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

describe("a restore of a cluster", () => {
  let cluster: TestCluster;
  let store: ClusterRepository;
  let fast: string;

  beforeAll(async () => {
    cluster = await startCluster();
    store = await repositoryBeside(cluster);
    fast = await tablespaceFolder(cluster, "fast");
    await cluster.query(`create tablespace fast location '${fast}'`);
    await cluster.query(
      "create table kept tablespace fast as select generate_series(1, 1000) as n",
    );
    await store.take();
  });

  afterAll(() => cluster.stop());

  const place = (name: string) => join(cluster.directory, name);
  const into = (name: string) => ({
    to: place(name),
    tablespaceMapping: new Map([[fast, place(`${name}-fast`)]]),
  });
  const entriesWith = async (part: string) =>
    (await readdir(cluster.directory)).filter((name) => name.includes(part));

  test("never takes a tablespace's place where something lies", async () => {
    await expect(restoreBeside(cluster, store, { to: place("clash") })).rejects.toMatchObject({
      code: "TABLESPACE_NOT_EMPTY",
      kind: "refused",
      remedy: expect.stringContaining(`--tablespace-mapping ${fast}=NEW`),
    });
    expect(await entriesWith("clash")).toEqual([]);
  });

  test.each([
    ["a mapping of a tablespace that is none", "/nowhere", "/elsewhere", "TABLESPACE_UNKNOWN"],
    ["a mapping to a relative path", "fast", "relative", "TABLESPACE_MAPPING_INVALID"],
    ["a mapping into the copy itself", "fast", "inside", "TABLESPACE_MAPPING_INVALID"],
  ])("refuses %s", async (_, old, where, code) => {
    const to = place("misused");
    const mapped = where === "inside" ? join(to, "base") : where;
    const tablespaceMapping = new Map([[old === "fast" ? fast : old, mapped]]);
    await expect(restoreBeside(cluster, store, { to, tablespaceMapping })).rejects.toMatchObject({
      code,
      kind: "usage",
    });
    expect(await entriesWith("misused")).toEqual([]);
  });

  test("takes the place of an empty directory, and of no other, force or not", async () => {
    const order = into("filled");
    await mkdir(order.to);
    await writeFile(join(order.to, "precious"), "x");
    for (const force of [false, true])
      await expect(restoreBeside(cluster, store, { ...order, force })).rejects.toMatchObject({
        code: "TARGET_NOT_EMPTY",
        kind: "refused",
      });
    expect(await readdir(order.to)).toEqual(["precious"]);
    await rm(join(order.to, "precious"));
    expect((await restoreBeside(cluster, store, order)).path).toBe(order.to);
  });

  test("with force replaces a data directory and its tablespaces, but none that a server runs on", async () => {
    const first = await restoreBeside(cluster, store, into("again"));
    await writeFile(join(first.path, "from-before"), "x");
    await rm(join(first.path, "recovery.signal"));
    const server = await startAsItIs(cluster, first.path);
    await server.accepting("postgres");
    const replacing = { ...into("again"), force: true };
    const inUse = { code: "TARGET_IN_USE", kind: "refused" };
    await expect(restoreBeside(cluster, store, replacing)).rejects.toMatchObject(inUse);
    if (process.platform === "linux") {
      // As a server in a container writes it: there its number is another one.
      const file = join(first.path, "postmaster.pid");
      const lines = await readFile(file, "utf8");
      for (const number of ["1", "4194305"]) {
        await writeFile(file, lines.replace(/^\d+/, number));
        await expect(restoreBeside(cluster, store, replacing)).rejects.toMatchObject(inUse);
      }
      await writeFile(file, lines);
    }
    await server.stop();
    // pg_upgrade has made another version's folder in the same location.
    const [own = ""] = await readdir(place("again-fast"));
    await writeFile(join(place("again-fast"), own, "from-before"), "x");
    await mkdir(join(place("again-fast"), "PG_99_203001011"));
    await writeFile(join(place("again-fast"), "PG_99_203001011", "rows"), "precious");
    const second = await restoreBeside(cluster, store, replacing);
    expect(await readdir(second.path)).not.toContain("from-before");
    expect(await readdir(join(place("again-fast"), own))).not.toContain("from-before");
    expect((await readdir(place("again-fast"))).toSorted()).toEqual([own, "PG_99_203001011"]);
    const rows = join(place("again-fast"), "PG_99_203001011", "rows");
    expect(await readFile(rows, "utf8")).toBe("precious");
    expect(await entriesWith("lifeboat-")).toEqual([]);
  });

  test.runIf(process.platform === "linux")(
    "over a directory whose server crashed is not kept out by a process that was given its number",
    async () => {
      const { path } = await restoreBeside(cluster, store, into("crashed"));
      // A living process, but none that works in that directory.
      await writeFile(join(path, "postmaster.pid"), `${process.pid}\n${path}\n`);
      const replacing = { ...into("crashed"), force: true };
      const again = await restoreBeside(cluster, store, replacing);
      expect(await readdir(again.path)).not.toContain("postmaster.pid");
    },
  );

  test("of an object that is damaged leaves nothing in any place, and what was replaced as it was", async () => {
    const standing = await restoreBeside(cluster, store, into("damaged"));
    await writeFile(join(standing.path, "from-before"), "x");
    const backup = store.file(store.folder.backupPath(standing.backup));
    const object = (await readdir(backup)).find((name) => /^\d+\.tar\.zst$/.test(name)) ?? "";
    const whole = await readFile(join(backup, object));
    await truncate(join(backup, object), whole.length - 1);
    try {
      const replacing = { ...into("damaged"), force: true };
      await expect(restoreBeside(cluster, store, replacing)).rejects.toMatchObject({
        code: "CHECKSUM_MISMATCH",
        message: expect.stringContaining(object),
      });
    } finally {
      await writeFile(join(backup, object), whole);
    }
    expect(await readdir(standing.path)).toContain("from-before");
    expect(await entriesWith("lifeboat-")).toEqual([]);
  });

  test("that is stopped half-way leaves nothing", async () => {
    const stopping = new AbortController();
    const run: StepRunner = async (steps) => {
      for (const step of steps)
        await step.run(({ bytes = 0 }) => {
          if (bytes > 1_000_000) stopping.abort(new Error("stopped by the test"));
        });
    };
    const order = { ...into("stopped"), signal: stopping.signal, run };
    await expect(restoreBeside(cluster, store, order)).rejects.toThrow("stopped by the test");
    expect(await entriesWith("stopped")).toEqual([]);
  });

  test("to a link puts nothing where the link leads", async () => {
    const victim = place("victim");
    await mkdir(victim);
    await writeFile(join(victim, "precious"), "x");
    await symlink(victim, place("link"));
    await expect(restoreBeside(cluster, store, into("link"))).rejects.toMatchObject({
      kind: "refused",
    });
    expect(await readdir(victim)).toEqual(["precious"]);
  });

  test("to a link to an empty directory fills that, and the link stays", async () => {
    await mkdir(place("disk"));
    await symlink(place("disk"), place("linked"));
    const { path } = await restoreBeside(cluster, store, into("linked"));
    expect(path).toBe(place("disk"));
    expect(await readlink(place("linked"))).toBe(place("disk"));
    expect(await readdir(place("linked"))).toContain("PG_VERSION");
  });

  test("where nothing can be made says so, and leaves nothing", async () => {
    await writeFile(place("a file"), "x");
    const to = join(place("a file"), "copy");
    await expect(restoreBeside(cluster, store, { ...into("blocked"), to })).rejects.toMatchObject({
      code: expect.stringMatching(/^TARGET_/),
    });
    expect(await entriesWith("blocked")).toEqual([]);
  });

  test("that is killed at any instant leaves a whole copy or none, and the next one cleans up", async () => {
    const order = into("killed");
    const run = fileURLToPath(new URL("../support/postgres-restore-run.ts", import.meta.url));
    const args = [run, store.path, place("state"), order.to, fast, place("killed-fast")];
    const seed = Math.trunc(Math.random() * 1e9);
    const outcomes: boolean[] = [];
    let longest = 0;
    for (let round = 0; round < 6; round++) {
      const child = execa(process.execPath, args, { reject: false, buffer: false });
      await once(createInterface({ input: child.stdout }), "line");
      const began = performance.now();
      // The first runs to its end and shows how long that takes; the others are cut within that time.
      if (round > 0) {
        await delay(longest * fraction(seed, round));
        child.kill("SIGKILL");
      }
      await child;
      if (round === 0) longest = performance.now() - began;
      const whole = await access(order.to).then(
        () => true,
        () => false,
      );
      outcomes.push(whole);
      if (whole) expect(await readdir(order.to), `seed ${seed}`).toContain("recovery.signal");
      if (whole)
        for (const left of [order.to, place("killed-fast")]) await rm(left, { recursive: true });
    }
    expect(outcomes[0]).toBe(true);
    const { path } = await restoreBeside(cluster, store, order);
    expect(await readdir(path), `seed ${seed}`).toContain("recovery.signal");
    expect(await entriesWith("lifeboat-"), `seed ${seed}`).toEqual([]);
  });

  test("asks for a place of its own for a tablespace that was made in place, and fills that", async () => {
    await cluster.query("alter system set allow_in_place_tablespaces = on");
    await cluster.query("select pg_reload_conf()");
    await cluster.query("create tablespace inner_space location ''");
    await cluster.query("create table inner_rows tablespace inner_space as select 7 as n");
    // Version 15 would send nothing of it in one stream, and say nothing.
    const [server15] = await cluster.query(
      "select from pg_settings where name = 'server_version_num' and setting < '160000'",
    );
    if (server15)
      for (const transport of ["wire", "pg_basebackup"] as const)
        await expect(store.take({ transport })).rejects.toMatchObject({ code: "TRANSPORT_UNFIT" });
    const { id } = await store.take();
    const [{ location } = { location: "" }] = await cluster.query<{ location: string }>(
      "select pg_tablespace_location(oid) as location from pg_tablespace where spcname = 'inner_space'",
    );
    const target = { kind: "backup", id } as const;
    const order = { ...into("inner"), target, replay: true };
    await expect(restoreBeside(cluster, store, order)).rejects.toMatchObject({
      code: "TABLESPACE_MAPPING_INVALID",
      remedy: expect.stringContaining(`--tablespace-mapping ${location}=NEW`),
    });
    expect(await entriesWith("inner")).toEqual([]);
    const aside = place("inner-space");
    // As the remedy is typed.
    const mapping = parseMapping(`${location}=${aside}`);
    const tablespaceMapping = new Map([...order.tablespaceMapping, mapping]);
    const { path } = await restoreBeside(cluster, store, { ...order, tablespaceMapping });
    const server = await startAsItIs(cluster, path);
    try {
      await server.accepting("postgres");
      expect(await ask(server, "select n from inner_rows", "app")).toEqual([{ n: 7 }]);
    } finally {
      await server.stop();
    }
    expect(await readdir(aside)).toHaveLength(1);
  });
});

/** A number from 0 to 1 that a seed and a round give again. */
function fraction(seed: number, round: number): number {
  return ((seed * (2 * round + 1) * 2_654_435_761) % 4_294_967_296) / 4_294_967_296;
}
