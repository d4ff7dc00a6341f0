import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import {
  type DrillReport,
  drill,
  encodeManifest,
  list,
  type Manifest,
  type RecoveryTarget,
  restore,
  verify,
} from "@lifeboat/core";
import { hasProgram } from "@lifeboat/postgres";
import { extract, pack } from "tar-stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { showProblems } from "../../packages/cli/src/show/problems.ts";
import { outermostMajors, startCluster, type TestCluster } from "../support/postgres.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

const signal = new AbortController().signal;

describe.each(await outermostMajors())("a hostile backup of version %i", (major) => {
  let cluster: TestCluster;
  let store: ClusterRepository;
  let honest: Manifest;
  let base: Buffer;
  let manifestTar: Buffer;
  /** A file that a command of the archive would make. */
  let mark: string;

  beforeAll(async () => {
    cluster = await startCluster({ major, initdb: ["--wal-segsize=1"] });
    store = await repositoryBeside(cluster);
    mark = join("/tmp", `lifeboat-hostile-${process.pid}-${major}`);
    await cluster.query("create table ledger(n int)");
    await cluster.query("create database trap");
    await cluster.query("alter database trap set session_preload_libraries = './evil'");
    await cluster.query("alter database trap set local_preload_libraries = 'evil'");
    await store.take();
    const { manifests } = await store.repository.backups(store.folder);
    honest = manifests[0] as Manifest;
    base = zstdDecompressSync(await readFile(pathOf("base.tar.zst")));
    manifestTar = zstdDecompressSync(await readFile(pathOf("backup_manifest.tar.zst")));
  });

  afterAll(() => cluster.stop());

  const pathOf = (object: string) => store.file(join(store.folder.backupPath(honest.id), object));

  /** Puts a changed archive and manifest in the place of the honest ones, all digests right. */
  async function forge(
    files: Readonly<Record<string, string>>,
    details = {},
    listed = files,
    lost: readonly string[] = [],
  ): Promise<void> {
    const content = await withFiles(base, files, lost);
    const stored = zstdCompressSync(content);
    const list = await withFiles(manifestTar, {
      backup_manifest: listing(await fileOf(manifestTar, "backup_manifest"), listed),
    });
    const forged = new Map([
      ["base.tar.zst", { content, stored }],
      ["backup_manifest.tar.zst", { content: list, stored: zstdCompressSync(list) }],
    ]);
    for (const [object, { stored }] of forged) await writeFile(pathOf(object), stored);
    const objects = honest.objects.map((each) => {
      const made = forged.get(each.object);
      return made
        ? { ...each, content: digestOf(made.content), stored: digestOf(made.stored) }
        : each;
    });
    const manifest = { ...honest, objects, details: { ...honest.details, ...details } };
    await writeFile(pathOf("manifest.json"), encodeManifest(manifest));
  }

  const drilled = (): Promise<DrillReport> =>
    drill({
      repository: store.repository,
      engines: [store.offline],
      target: { kind: "latest" },
      checks: () => [],
      keep: false,
      signal,
    });

  const restored = (
    name: string,
    {
      target = { kind: "latest" },
      skipCheck,
    }: { target?: RecoveryTarget; skipCheck?: boolean } = {},
  ) =>
    restore({
      repository: store.repository,
      engines: [store.offline],
      ...{ target, skipCheck },
      to: join(cluster.directory, name),
      tablespaceMapping: new Map(),
      force: false,
      replay: false,
      fetchCommand: [],
      signal,
    });

  test("a drill runs no command, loads no library and opens no other directory of the archive", async () => {
    const touch = `touch ${mark}`;
    await forge({
      "postgresql.conf": `
data_directory'/nowhere'
include 'more.conf'
archive_mode = on
archive_command'${touch}'
archive_cleanup_command'${touch}'
recovery_end_command'${touch}'
restore_command'${touch}'
ssl_passphrase_command = '${touch}'
shared_preload_libraries = './evil, /tmp/evil'
jit_provider = '../../../../../../tmp/evil'
`,
      "more.conf": `data_directory = '/nowhere'\narchive_command = '${touch}'\nrecovery_end_command = '${touch}'\n`,
      "evil.so": "no library",
    });
    const report = await drilled();
    expect(report.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(report.checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["library ./evil", "library /tmp/evil"]),
    );
    await expect(stat(mark)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("no archive chooses the account that a drill's server runs as", async () => {
    await forge({}, { owner: "daemon" });
    expect(await drilled()).toMatchObject({ ok: true });
    await forge({}, { owner: "--help" });
    await expect(drilled()).rejects.toMatchObject({ code: "MANIFEST_CORRUPT" });
  });

  test("a manifest of no sense is named, and hides no other backup", async () => {
    await forge({}, { timeline: "one" });
    const { id } = await store.take();
    const { repository } = store;
    const engines = [store.offline];
    const named = [{ code: "MANIFEST_CORRUPT", object: expect.stringContaining(honest.id) }];
    const listed = await list({ repository, engines, live: null });
    expect(listed).toMatchObject({ backups: [{ id: honest.id }, { id }], problems: named });
    const verified = await verify({ repository, engines, deep: false, signal });
    expect(verified.problems).toMatchObject(named);
    await expect(restored("other", { target: { kind: "backup", id } })).resolves.toMatchObject({
      backup: id,
    });
    await rm(store.file(store.folder.backupPath(id)), { recursive: true });
  });

  test("a stray segment with a great number holds up no check of the log", async () => {
    await forge({});
    const wal = (number: string) =>
      store.file(join(store.folder.path, "wal", "00000001", `00000001${number}.zst`));
    const stray = wal("FFFFFFFF00000FFE");
    await mkdir(dirname(stray), { recursive: true });
    // Not while the backup was taken: an archive brought them, and so all between is a hole.
    for (const own of await readdir(dirname(stray))) await utimes(join(dirname(stray), own), 0, 0);
    await writeFile(stray, "");
    const { problems } = await verify({
      repository: store.repository,
      engines: [store.offline],
      deep: false,
      signal,
    });
    expect(problems.length).toBeGreaterThan(1);
    expect(problems.length).toBeLessThan(2000);
    // What is missing one behind the other is one line.
    const gaps = problems.filter(({ code }) => code === "WAL_GAP");
    const shown = showProblems(problems).match(/^ERROR .*/gm) ?? [];
    expect(shown).toHaveLength(problems.length - gaps.length + 2);
    const range = `${gaps[0]?.object} to ${gaps.at(-2)?.object}: ${gaps.length - 1}`;
    expect(shown).toContain(`ERROR  ${range}`);
    // It did not look further, and says so.
    expect(gaps).toHaveLength(1001);
    expect(gaps.at(-1)?.message).toContain("what more is missing behind it was not looked for");
    await rm(stray);
  });

  test("settings that lead out of the data directory are not read, and huge ones neither", async () => {
    const away = `include '${"../".repeat(12)}dev/zero'\n`;
    await forge({ "postgresql.conf": "include 'more.conf'\n", "more.conf": away });
    await expect(restored("away")).resolves.toMatchObject({ engine: "postgres" });
    await forge({ "postgresql.auto.conf": "#".repeat(17 * 2 ** 20) });
    await expect(restored("huge")).rejects.toMatchObject({ code: "ARCHIVE_UNSAFE" });
    expect((await readdir(cluster.directory)).filter((name) => /away|huge/.test(name))).toEqual([
      "away",
    ]);
  });

  test("files that are not those of the server's own list are found by its own program", async () => {
    const program = await hasProgram(cluster.programs, "pg_verifybackup");
    await forge({});
    const { verified } = await restored("listed");
    expect(verified?.program ?? null).toBe(program ? "pg_verifybackup" : null);
    if (!program) return;
    await forge({ "base/1/112": "damaged before it was stored" }, {}, {});
    await expect(restored("unlisted")).rejects.toMatchObject({
      code: "VERIFY_FAILED",
      message: expect.stringContaining("base/1/112"),
    });
    await expect(restored("unchecked", { skipCheck: true })).resolves.toMatchObject({
      verified: null,
    });
    await forge({ "global/foreign": "listed nowhere" }, {}, {});
    await expect(drilled()).rejects.toMatchObject({ code: "VERIFY_FAILED" });
    expect((await readdir(cluster.directory)).filter((name) => /listed/.test(name))).toEqual([
      "listed",
    ]);
  });

  test("an archive without what makes it a base backup, or of another version, is refused before it gets a name", async () => {
    for (const name of ["backup_label", "global/pg_control", "PG_VERSION"]) {
      await forge({}, {}, {}, [name]);
      await expect(restored("lacking", { skipCheck: true })).rejects.toMatchObject({
        code: "BACKUP_INCOMPLETE",
        message: expect.stringContaining(name),
      });
    }
    for (const version of [major - 1, major + 1]) {
      await forge({ PG_VERSION: `${version}\n` });
      await expect(restored("lacking", { skipCheck: true })).rejects.toMatchObject({
        code: "BACKUP_INCOMPLETE",
      });
    }
    expect((await readdir(cluster.directory)).filter((name) => /lacking/.test(name))).toEqual([]);
  });

  test("a settings file with a strange path and no content leaves nothing, and nothing beside the copy", async () => {
    const settings = [
      { setting: "include", path: "/etc/x/../../strange.conf/", object: "settings/x.zst" },
    ];
    await forge({}, { settings });
    await expect(restored("strange")).rejects.toMatchObject({ code: "BACKUP_INCOMPLETE" });
    expect((await readdir(cluster.directory)).filter((name) => /strange/.test(name))).toEqual([]);
  });
});

function digestOf(content: Buffer) {
  return { bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") };
}

async function fileOf(archive: Buffer, name: string): Promise<string> {
  const from = extract();
  const feeding = pipeline([archive], from);
  let found = "";
  for await (const entry of from) {
    const content = await buffer(entry);
    if (entry.header.name.replace(/^\.\//, "") === name) found = content.toString("utf8");
  }
  await feeding;
  return found;
}

/** The server's list of files, made to fit the forged ones: whoever can write one can write the other. */
function listing(manifest: string, files: Readonly<Record<string, string>>): string {
  // A number that JavaScript's do not hold.
  const text = manifest.replace(/("System-Identifier": )(\d+)/, '$1"$2"');
  const { "Manifest-Checksum": _, Files: listed, ...rest } = JSON.parse(text);
  const left = listed.filter(({ Path: path }: { Path: string }) => files[path] === undefined);
  const own = Object.entries(files).map(([path, text]) => ({
    Path: path,
    Size: Buffer.byteLength(text),
    "Last-Modified": "2026-11-22 10:15:00 GMT",
  }));
  const all = { ...rest, Files: [...left, ...own] };
  const json = JSON.stringify(all).replace(/("System-Identifier":)"(\d+)"/, "$1$2");
  const body = `${json.slice(0, -1)},\n`;
  const sha256 = createHash("sha256").update(body).digest("hex");
  return `${body}"Manifest-Checksum": "${sha256}"}\n`;
}

/** The archive with files replaced, or added at its end. */
async function withFiles(
  archive: Buffer,
  files: Readonly<Record<string, string>>,
  lost: readonly string[] = [],
) {
  const from = extract();
  const to = pack();
  const whole = buffer(to);
  const feeding = pipeline([archive], from);
  const left = new Map(Object.entries(files));
  for await (const entry of from) {
    const name = entry.header.name.replace(/^\.\//, "");
    const content = await buffer(entry);
    const changed = left.get(name);
    left.delete(name);
    if (lost.includes(name)) continue;
    const { size: _, ...header } = entry.header;
    to.entry(header, changed === undefined ? content : Buffer.from(changed));
  }
  for (const [name, text] of left) to.entry({ name }, text);
  to.finalize();
  await feeding;
  return whole;
}
