import { randomBytes } from "node:crypto";
import promises, {
  chmod,
  constants,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { sqliteEngine } from "@lifeboat/sqlite";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { examine } from "../../packages/sqlite/src/examine/examine.ts";
import { RawReader } from "../../packages/sqlite/src/raw/raw-reader.ts";
import {
  expectCleanPrefix,
  heard,
  makeLedger,
  overwrite,
  startBystander,
  startScript,
  testFolder,
} from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

async function appAt(name = "app.db"): Promise<SqliteApp> {
  const folder = await testFolder();
  return new SqliteApp(folder, join(folder, name), { lockPatienceMs: 200, pinPatienceMs: 200 });
}

/** Expects a refusal that leaves nothing behind, neither beside the database nor in the repository. */
async function expectRefusal(app: SqliteApp, code: string): Promise<void> {
  await expect(app.backup()).rejects.toMatchObject({ name: "LifeboatError", code });
  expect((await app.manifests()).manifests).toEqual([]);
  expect((await readdir(app.folder)).filter((name) => name.startsWith(".lifeboat-"))).toEqual([]);
}

test("a file that is not there", async () => {
  await expectRefusal(await appAt(), "DATABASE_MISSING");
  await expectRefusal(await appAt("no/such/folder/app.db"), "DATABASE_MISSING");
});

test("a directory", async () => {
  const app = await appAt();
  await mkdir(app.path);
  await expectRefusal(app, "DATABASE_NOT_A_FILE");
});

test("a database on a network file system, by whatever link it is reached", async () => {
  const app = await appAt();
  makeLedger(app.path);
  const link = join(app.folder, "link.db");
  await symlink(app.path, link);
  using _ = onNetworkFileSystem(app.path, 0x6969);
  await expectRefusal(app, "NETWORK_FILE_SYSTEM");
  await expectRefusal(new SqliteApp(app.folder, link), "NETWORK_FILE_SYSTEM");
  expect((await app.engine.inspect()).map(({ id }) => id)).toEqual(["sqlite-network-file-system"]);
});

test("a file whose name ends in a blank, which the driver would take off", async () => {
  const app = await appAt("app.db ");
  await writeFile(app.path, "content");
  await expectRefusal(app, "DATABASE_NOT_A_FILE");
});

test("an empty file", async () => {
  const app = await appAt();
  await writeFile(app.path, "");
  await expectRefusal(app, "DATABASE_EMPTY");
});

test("a file of another kind", async () => {
  const app = await appAt();
  await writeFile(app.path, "id,name\n1,first\n".repeat(500));
  await expectRefusal(app, "NOT_A_DATABASE");
});

test("encrypted pages", async () => {
  const app = await appAt();
  await writeFile(app.path, randomBytes(16_384));
  await expectRefusal(app, "DATABASE_ENCRYPTED");
});

test("pages that are encrypted behind a plain header", async () => {
  const app = await appAt();
  makeLedger(app.path, { journalMode: "delete" });
  await overwrite(app.path, 32, randomBytes(4096 - 32));
  await expect(app.backup()).rejects.toMatchObject({
    code: expect.stringMatching(/^DATABASE_(ENCRYPTED|CORRUPT)$/),
  });
});

test.each([{}, { spareBytes: Number.MAX_SAFE_INTEGER }])(
  "a database that fails quick_check, when asked to check it (%o)",
  async (limits) => {
    const folder = await testFolder();
    const app = new SqliteApp(folder, join(folder, "app.db"), limits);
    makeLedger(app.path, { rows: 200 });
    const check = () => app.backup(new AbortController().signal, "full", { check: true });
    expect((await check()).type).toBe("full");
    await overwrite(app.path, 40 * 4096, Buffer.alloc(4096, 7));
    await expect(check()).rejects.toMatchObject({
      code: "DATABASE_CORRUPT",
      message: expect.stringContaining("quick_check"),
    });
    expect((await app.manifests()).manifests).toHaveLength(1);
    // Not asked, it keeps what there is.
    await app.backup();
  },
);

test.each([{}, { spareBytes: Number.MAX_SAFE_INTEGER }])(
  "a file that is shorter than its pages, copied or stored straight away (%o)",
  async (limits) => {
    const folder = await testFolder();
    const app = new SqliteApp(folder, join(folder, "app.db"), limits);
    makeLedger(app.path, { rows: 100, journalMode: "delete" });
    await truncate(app.path, 20 * 4096);
    await expectRefusal(app, "DATABASE_CORRUPT");
  },
);

test("a -wal whose header has a wrong checksum or page size, which SQLite would read as empty", async () => {
  for (const [offset, bytes] of [
    [24, [1, 2, 3, 4]],
    [8, [0, 0, 2, 0]],
    [0, [0, 0, 0, 0]],
  ] as const) {
    const app = await withUncheckpointedWal();
    await overwrite(`${app.path}-wal`, offset, Buffer.from(bytes));
    await expectRefusal(app, "WAL_HEADER_INVALID");
  }
});

test("a -wal whose header is being written when it is looked at is looked at again", async () => {
  const app = await withUncheckpointedWal();
  const wal = `${app.path}-wal`;
  const header = (await readFile(wal)).subarray(24, 28);
  await overwrite(wal, 24, Buffer.from([1, 2, 3, 4]));
  class LookedAt extends RawReader {
    override async peek(...asked: Parameters<RawReader["peek"]>): Promise<Buffer | undefined> {
      const found = await super.peek(...asked);
      if (asked[0] === wal) await overwrite(wal, 24, header);
      return found;
    }
  }
  await using reader = new AsyncDisposableStack();
  const looking = reader.adopt(new LookedAt(), (each) => each.close());
  expect(await examine(looking, app.path)).toMatchObject({ header: { wal: true } });
});

test("a -wal without a frame, whatever its header, has nothing to lose and is no reason to refuse", async () => {
  for (const bytes of [0, 10, 32]) {
    const app = await appAt();
    makeLedger(app.path, { rows: 10 });
    await writeFile(`${app.path}-wal`, Buffer.alloc(bytes));
    await app.backup();
    const { path } = await app.restore(join(app.folder, "to"));
    expect(expectCleanPrefix(path)).toBe(10);
  }
});

test("a -wal that a killed app left is part of the backup", async () => {
  const app = await withUncheckpointedWal();
  await app.backup();
  expect(expectCleanPrefix((await app.restore(join(app.folder, "to"))).path)).toBe(51);
});

test("a hot journal is rolled back, and the backup holds the state before its transaction", async () => {
  const app = await appAt();
  await leaveHotJournal(app.path);
  await app.backup();
  expect(expectCleanPrefix((await app.restore(join(app.folder, "to"))).path)).toBe(400);
});

test("a hot journal whose super-journal is missing", async () => {
  const app = await appAt();
  await leaveHotJournal(app.path);
  await nameSuperJournal(`${app.path}-journal`, join(app.folder, "gone-mj1234"));
  await expectRefusal(app, "HOT_JOURNAL");
});

test("a journal that is finished, and a hot one whose record of a super-journal is damaged, are no reason to refuse", async () => {
  const finished = await appAt();
  makeLedger(finished.path, { journalMode: "delete" });
  const gone = join(finished.folder, "gone-mj1234");
  // As journal_mode PERSIST leaves it.
  await writeFile(`${finished.path}-journal`, Buffer.alloc(512));
  await nameSuperJournal(`${finished.path}-journal`, gone);
  await finished.backup();
  const app = await appAt();
  await leaveHotJournal(app.path);
  const journal = `${app.path}-journal`;
  await nameSuperJournal(journal, gone);
  await overwrite(journal, (await stat(journal)).size - 12, Buffer.from([9, 9, 9, 9]));
  await app.backup();
  expect(expectCleanPrefix((await app.restore(join(app.folder, "to"))).path)).toBe(400);
});

test("a WAL-mode database on a file system that is read-only", async () => {
  const app = await appAt();
  makeLedger(app.path);
  const { access } = promises;
  promises.access = async (path, mode) => {
    if (path === app.path && ((mode ?? 0) & constants.W_OK) !== 0)
      throw Object.assign(new Error("EROFS: read-only file system"), { code: "EROFS" });
    return access(path, mode);
  };
  syncBuiltinESMExports();
  try {
    await expect(app.backup()).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
      message: expect.stringContaining("read-only"),
      remedy: expect.stringContaining("mount it writable"),
    });
  } finally {
    promises.access = access;
    syncBuiltinESMExports();
  }
});

test("a hot journal that this user may not roll back", async () => {
  const app = await appAt();
  await leaveHotJournal(app.path);
  await chmod(app.folder, 0o755);
  for (const file of [app.path, `${app.path}-journal`]) await chmod(file, 0o444);
  expect(await saidToNobody(app.path, "hold")).toBe("HOT_JOURNAL");
});

test("a file that this user may not read", async () => {
  const app = await appAt();
  makeLedger(app.path);
  await chmod(app.folder, 0o755);
  await chmod(app.path, 0o000);
  expect(await saidToNobody(app.path, "inspect")).toBe("sqlite-permission-denied");
});

test("a WAL-mode file that this user may read but not write", async () => {
  const app = await appAt();
  makeLedger(app.path);
  await chmod(app.path, 0o444);
  await chmod(app.folder, 0o755);
  expect(await saidToNobody(app.path, "inspect")).toBe("sqlite-permission-denied");
});

test("a database that an app keeps locked for itself", async () => {
  const app = await appAt();
  makeLedger(app.path, { journalMode: "delete" });
  await startBystander(app.path, "exclusive");
  await expectRefusal(app, "DATABASE_LOCKED");
});

test("what is not configured, names that are no folder's, and options of Postgres are wrong usage", async () => {
  const path = "/srv/app.db";
  expect(() => sqliteEngine({ databases: [{ name: "../x", path }] })).toThrow(/"..\/x" cannot be/);
  expect(() => sqliteEngine({ databases: [{ name: "", path }] })).toThrow(/cannot be/);
  const twice = [{ name: "a", path }, { name: "a", path: "/srv/b.db" }]; // biome-ignore format: one line
  expect(() => sqliteEngine({ databases: twice })).toThrow(/names two databases/);
  const none = sqliteEngine({ databases: [] });
  const usage = { code: "ENGINE_NOT_CONFIGURED", kind: "usage" };
  await expect(none.databases()).rejects.toMatchObject(usage);
  await expect(none.inspect()).rejects.toMatchObject(usage);
  await expect(none.status(null, null)).rejects.toMatchObject(usage);

  const app = await appAt();
  makeLedger(app.path);
  for (const options of [
    { transport: "wire" },
    { wal: "stream" },
    { jobs: 2 },
    { maxRate: 1000 },
  ] as const)
    await expect(app.engine.refuseOptions(options)).rejects.toMatchObject({
      code: "OPTION_NOT_FOR_SQLITE",
      kind: "usage",
    });
});

/** Has the kernel's answer say that a file lies on a file system of this type: none can be mounted here. */
function onNetworkFileSystem(path: string, type: number): Disposable {
  const { statfs } = promises;
  promises.statfs = (async (asked: string) => {
    const found = await statfs(asked);
    return asked === path ? { ...found, type } : found;
  }) as typeof statfs;
  syncBuiltinESMExports();
  return {
    [Symbol.dispose]() {
      promises.statfs = statfs;
      syncBuiltinESMExports();
    },
  };
}

/** A database whose newest commit lies in its `-wal` only, as after a kill. */
async function withUncheckpointedWal(): Promise<SqliteApp> {
  const app = await appAt();
  const source = join(app.folder, "source.db");
  makeLedger(source);
  const database = new Database(source);
  database.exec(
    "BEGIN; INSERT INTO ledger VALUES (51, randomblob(100)); UPDATE counter SET v = 51; COMMIT",
  );
  await copyFile(`${source}-wal`, `${app.path}-wal`);
  await copyFile(source, app.path);
  database.close();
  return app;
}

/** A database of 400 rows, with the journal of a transaction that was killed half-way. */
async function leaveHotJournal(path: string): Promise<void> {
  makeLedger(path, { rows: 400, journalMode: "delete" });
  const spilling = await startBystander(path, "spill");
  await spilling.kill();
  expect(() => expectCleanPrefix(`${path}`)).not.toThrow(TypeError);
}

/** Appends what a journal of a transaction over several databases ends in (fileformat2.html, 3). */
async function nameSuperJournal(journal: string, name: string): Promise<void> {
  const text = Buffer.from(name);
  const trailer = Buffer.alloc(20);
  const sum = text.reduce((total, byte) => total + byte, 0);
  trailer.writeUInt32BE(text.length, 4);
  trailer.writeUInt32BE(sum, 8);
  Buffer.from("d9d505f920a163d7", "hex").copy(trailer, 12);
  const lockPage = Buffer.alloc(4);
  lockPage.writeUInt32BE(0x40000000 / 4096 + 1);
  const file = await open(journal, "a");
  await file.write(Buffer.concat([lockPage, text, trailer.subarray(4)]));
  await file.close();
}

async function saidToNobody(path: string, what: "inspect" | "hold"): Promise<string> {
  const nobody = startScript("sqlite-as-nobody.ts", [path, what]);
  let said = "";
  nobody.child.stdout?.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  await heard(nobody, "\0");
  return said;
}
