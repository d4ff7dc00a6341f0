import {
  chmod,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { decodeManifest, encodeManifest, type RestoreOrder } from "@lifeboat/core";
import { hasProgram } from "@lifeboat/postgres";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { contentOf } from "../support/content-of.ts";
import {
  ask,
  availableMajors,
  startCluster,
  type TestCluster,
  tablespaceFolder,
} from "../support/postgres.ts";
import { restoreBeside, runProgram, startAsItIs } from "../support/postgres-copies.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

async function startsNot(cluster: TestCluster, directory: string): Promise<void> {
  const server = await startAsItIs(cluster, directory);
  try {
    await expect(server.accepting("postgres")).rejects.toThrow(/pg_control/);
  } finally {
    await server.stop();
  }
}

// Nothing of it knows versions; but files of the oldest and of the newest one have passed through it.
const majors = await availableMajors();
describe.each([...new Set([...majors.slice(0, 1), ...majors.slice(-1)])])(
  "a delta restore of version %i",
  (major) => {
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
      await cluster.query(
        "create table kept tablespace fast as select generate_series(1, 90000) n",
      );
      await store.take();
    });
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

    const files = (directory: string) =>
      contentOf(directory).then((found) => [...found.keys()].filter((name) => !name.endsWith("/")));
    const missing = (path: string) =>
      lstat(path).then(
        () => false,
        () => true,
      );

    test("yields what a full restore yields, keeps what agrees and writes what differs", async () => {
      await plain("lived");
      await lived("lived");
      const expected = await freshly("lived");
      await writeFile(join(place("lived"), "base", "foreign"), "x");
      await mkdir(join(place("lived"), "base", "4711"));
      await writeFile(join(place("lived"), "base", "4711", "1"), "x");
      const before = await files(place("lived"));
      const { delta: counts, findings } = await delta("lived");
      expect(await standing("lived")).toEqual(expected);
      const kept = counts?.bytesKept ?? 0;
      const written = counts?.bytesWritten ?? 0;
      // The table of 20,000 rows lies in some 20 ranges, of which each has changed; its index and the catalogs have not.
      expect(kept).toBeGreaterThan(10 * 2 ** 20);
      expect(written).toBeGreaterThan(2 ** 20);
      expect(counts?.rangesKept).toBeGreaterThan(counts?.rangesWritten ?? 0);
      const now = new Set(await files(place("lived")));
      const gone = before.filter((name) => !now.has(name));
      expect(gone).toEqual(expect.arrayContaining(["base/foreign", "base/4711/1"]));
      expect(counts?.filesRemoved).toBeGreaterThanOrEqual(gone.length);
      expect(findings.map(({ id }) => id)).not.toContain("delta-without-ranges");
      if (await hasProgram(cluster.programs, "pg_verifybackup")) {
        const args = ["-n", "-i", "tablespace_map", place("lived")];
        const checked = await runProgram(cluster, "pg_verifybackup", args);
        expect(checked.all).toContain("backup successfully verified");
      }
      await rm(join(place("lived"), "recovery.signal"));
      const server = await startAsItIs(cluster, place("lived"));
      await server.accepting("postgres");
      const count = "select count(*)::int from big where filler = 'changed'";
      expect(await ask(server, count, "app")).toEqual([{ count: 0 }]);
      await server.stop();
    });

    test("of a directory that nothing happened to writes next to nothing", async () => {
      await plain("quiet");
      const expected = await standing("quiet");
      const { delta: counts } = await delta("quiet");
      expect(await standing("quiet")).toEqual(expected);
      // The settings that tell how it recovers are written anew each time.
      expect(counts?.rangesWritten).toBeLessThanOrEqual(3);
      expect(counts?.bytesWritten).toBeLessThan(100_000);
      expect(counts?.bytesKept).toBeGreaterThan(40 * 2 ** 20);
    });

    test("that was killed leaves a directory that does not start, and the next one completes it", async () => {
      await plain("killed");
      await lived("killed");
      const expected = await freshly("killed");
      const own = [store.path, place("own-state"), place("killed"), fast, place("killed-fast")];
      const program = fileURLToPath(new URL("../support/postgres-delta-run.ts", import.meta.url));
      const control = join(place("killed"), "global", "pg_control");
      const run = execa(process.execPath, [program, ...own], { reject: false });
      while (!(await missing(control))) await delay(1);
      run.kill("SIGKILL");
      await run;
      expect(await missing(control)).toBe(true);
      await startsNot(cluster, place("killed"));
      const { delta: counts } = await delta("killed");
      expect(await standing("killed")).toEqual(expected);
      expect(counts?.rangesKept).toBeGreaterThan(0);
    });
  },
);

describe("a delta restore", () => {
  let cluster: TestCluster;
  let store: ClusterRepository;

  beforeAll(async () => {
    cluster = await startCluster();
    store = await repositoryBeside(cluster);
    await cluster.query(
      "create table big as select n, repeat(md5(n::text), 30) as filler from generate_series(1, 8000) n",
    );
    await store.take();
  });
  afterAll(() => cluster?.stop());

  const place = (name: string) => join(cluster.directory, name);
  const plain = (name: string, order: Partial<RestoreOrder> = {}) =>
    restoreBeside(cluster, store, { to: place(name), ...order });
  const delta = (name: string, order: Partial<RestoreOrder> = {}) =>
    restoreBeside(cluster, store, { to: place(name), delta: true, ...order });
  /** The largest file of a copy, which is the table's. */
  async function table(name: string): Promise<string> {
    const all = await readdir(join(place(name), "base"), { recursive: true });
    const sizes = await Promise.all(
      all.map(async (file) => {
        const path = join(place(name), "base", file);
        const { size } = await stat(path);
        return { path, size };
      }),
    );
    return sizes.reduce((most, each) => (each.size > most.size ? each : most)).path;
  }
  async function overwrite(path: string, at: number): Promise<void> {
    const file = await open(path, "r+");
    await file.write(Buffer.from("changed"), 0, 7, at);
    await file.close();
  }

  test("is refused on a directory that a server runs on, and touches nothing of it", async () => {
    const { path } = await plain("running");
    await rm(join(path, "recovery.signal"));
    const server = await startAsItIs(cluster, path);
    await server.accepting("postgres");
    await expect(delta("running")).rejects.toMatchObject({
      code: "TARGET_IN_USE",
      kind: "refused",
    });
    await server.stop();
    expect(await readdir(path)).not.toContainEqual(expect.stringContaining("lifeboat-delta"));
    expect(await readdir(join(path, "global"))).toContain("pg_control");
  });

  test.runIf(process.platform === "linux")(
    "passes over the file of a server that crashed",
    async () => {
      const { path } = await plain("crashed");
      await writeFile(join(path, "postmaster.pid"), `${process.pid}\n${path}\n`);
      await delta("crashed");
      expect(await readdir(path)).not.toContain("postmaster.pid");
    },
  );

  test("is refused on a directory of another cluster, on one that is none, and on an empty one", async () => {
    const { path } = await plain("other");
    const control = await open(join(path, "global", "pg_control"), "r+");
    await control.write(Buffer.alloc(8, 7), 0, 8, 0);
    await control.close();
    const before = await contentOf(path);
    await expect(delta("other")).rejects.toMatchObject({
      code: "DELTA_OTHER_CLUSTER",
      kind: "refused",
    });
    expect(await contentOf(path)).toEqual(before);
    await mkdir(place("none"));
    const unfit = { code: "DELTA_TARGET_UNFIT", kind: "refused" };
    await expect(delta("none")).rejects.toMatchObject(unfit);
    await writeFile(join(place("none"), "precious"), "x");
    await expect(delta("none")).rejects.toMatchObject(unfit);
    await expect(delta("nowhere")).rejects.toMatchObject(unfit);
    expect(await readdir(place("none"))).toEqual(["precious"]);
  });

  test("follows no link that was planted in the directory, of either kind", async () => {
    const { path } = await plain("planted");
    const expected = await contentOf(path);
    const outside = place("outside");
    await mkdir(outside);
    await writeFile(join(outside, "file"), "precious");
    await writeFile(join(outside, "second"), "precious");
    const big = await table("planted");
    // A file that leads away, a second name of a file elsewhere, a folder that leads away, a foreign link.
    await rm(big);
    await symlink(join(outside, "file"), big);
    await rm(join(path, "PG_VERSION"));
    await link(join(outside, "second"), join(path, "PG_VERSION"));
    await rm(join(path, "pg_multixact"), { recursive: true });
    await symlink(outside, join(path, "pg_multixact"));
    await symlink(outside, join(path, "base", "away"));
    await execa("mkfifo", [join(path, "base", "pipe")]);
    const { findings, delta: counts } = await delta("planted");
    expect(await contentOf(path)).toEqual(expected);
    expect(await readdir(outside)).toEqual(["file", "second"]);
    for (const name of ["file", "second"])
      expect(await readFile(join(outside, name), "utf8")).toBe("precious");
    expect(findings.filter(({ id }) => id === "link-removed").length).toBe(3);
    expect(counts?.filesRemoved).toBeGreaterThanOrEqual(5);
  });

  test("refuses a directory whose global is a link, which would be followed", async () => {
    const { path } = await plain("led");
    await rename(join(path, "global"), place("led-global"));
    await symlink(place("led-global"), join(path, "global"));
    await expect(delta("led")).rejects.toMatchObject({ code: "DELTA_TARGET_UNFIT" });
  });

  test("gives files their length, mode and owner back", async () => {
    const { path } = await plain("bent");
    const expected = await contentOf(path);
    const big = await table("bent");
    await chmod(big, 0o666);
    await writeFile(join(path, "PG_VERSION"), "15\nand more");
    await truncate(join(path, "global", "pg_filenode.map"), 100);
    await chmod(join(path, "base"), 0o755);
    // Their ends are zeros in the backup, which are not there for that.
    await truncate(join(path, "pg_xact", "0000"), 4096);
    await rm(join(path, "pg_multixact", "offsets", "0000"));
    await delta("bent");
    expect(await contentOf(path)).toEqual(expected);
  });

  test("of a damaged object tells which, leaves the directory half-done, and the next one completes it", async () => {
    const { path, backup: id } = await plain("broken");
    const expected = await contentOf(path);
    await overwrite(await table("broken"), 3 * 2 ** 20);
    const object = store.file(`${store.folder.backupPath(id)}/base.tar.zst`);
    await rename(object, `${object}.kept`);
    await expect(delta("broken")).rejects.toMatchObject({
      code: "OBJECT_MISSING",
      message: expect.stringContaining("base.tar.zst"),
      remedy: expect.stringContaining(`${path} is half-done`),
    });
    await rename(`${object}.kept`, object);
    await startsNot(cluster, path);
    await delta("broken");
    expect(await contentOf(path)).toEqual(expected);
  });

  test("of a half-done directory can be replaced by a full one with force", async () => {
    const { path } = await plain("replaced");
    await rename(
      join(path, "global", "pg_control"),
      join(path, "global", "pg_control.lifeboat-delta"),
    );
    await plain("replaced", { force: true });
    expect(await readdir(join(path, "global"))).not.toContain("pg_control.lifeboat-delta");
  });

  test("beside another one gives way", async () => {
    const { path } = await plain("twice");
    const expected = await contentOf(path);
    const both = await Promise.allSettled([delta("twice"), delta("twice")]);
    const refused = both.filter((each) => each.status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused)
      expect(reason).toMatchObject({ code: "DELTA_RUNNING", kind: "locked" });
    await delta("twice");
    expect(await contentOf(path)).toEqual(expected);
  });

  test("reads all of a backup that was taken before ranges were noted, and says so", async () => {
    const { path, backup: id } = await plain("old");
    const expected = await contentOf(path);
    const folder = store.file(store.folder.backupPath(id));
    const manifest = decodeManifest(await readFile(join(folder, "manifest.json")), id);
    const objects = manifest.objects.filter(({ role }) => role !== "ranges");
    expect(objects.length).toBe(manifest.objects.length - 1);
    await overwrite(await table("old"), 2 ** 20);
    await writeFile(join(folder, "manifest.json"), encodeManifest({ ...manifest, objects }));
    try {
      const { findings, delta: counts } = await delta("old");
      expect(findings.map(({ id }) => id)).toContain("delta-without-ranges");
      expect(await contentOf(path)).toEqual(expected);
      expect(counts?.rangesWritten).toBeLessThanOrEqual(4);
      expect(counts?.bytesKept).toBeGreaterThan(20 * 2 ** 20);
    } finally {
      await writeFile(join(folder, "manifest.json"), encodeManifest(manifest));
    }
  });

  test("keeps what agrees of a backup that several workers took", async () => {
    const { id } = await store.take({ transport: "parallel", jobs: 2 });
    const target = { kind: "backup", id } as const;
    const { path } = await plain("parallel", { target });
    const expected = await contentOf(path);
    await overwrite(await table("parallel"), 5 * 2 ** 20 + 17);
    const { delta: counts } = await delta("parallel", { target });
    expect(await contentOf(path)).toEqual(expected);
    expect(counts?.bytesKept).toBeGreaterThan(20 * 2 ** 20);
    expect(counts?.rangesWritten).toBeLessThanOrEqual(4);
  });
});
