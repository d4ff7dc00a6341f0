import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import {
  chown,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { type DatabaseFolder, LifeboatError, Repository, RepositoryMemory } from "@lifeboat/core";
import { memoryStorage } from "@lifeboat/storage";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { readGivenUp } from "../../packages/postgres/src/archive/given-up-wal.ts";
import { pushInto, pushWal } from "../../packages/postgres/src/archive/push.ts";
import { PushServer } from "../../packages/postgres/src/archive/push-server.ts";
import { onRequestLine } from "../../packages/postgres/src/archive/request-lines.ts";
import { SegmentServer } from "../../packages/postgres/src/revive/segment-server.ts";
import { emptySegment } from "../support/empty-segment.ts";
import { PATIENCE } from "../support/patience.ts";

const SYSTEM = 7_000_000_000_000_000_001n;
const SEGMENT = 1 << 20;
const NOBODY = 65_534;
const HISTORY = "1\t0/3000000\tno recovery target specified\n";
const LABEL = "000000010000000000000001.00000028.backup";
const isRoot = process.getuid?.() === 0;

let root: string;
let data: string;
let wal: string;
let secret: string;
let folder: DatabaseFolder;
let repository: Repository;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "lifeboat-account-"));
  data = join(root, "data");
  wal = join(data, "pg_wal");
  secret = join(root, "secret");
  const control = Buffer.alloc(8);
  control.writeBigUInt64LE(SYSTEM);
  await mkdir(join(data, "global"), { recursive: true });
  await mkdir(join(wal, "archive_status"), { recursive: true });
  await writeFile(join(data, "global", "pg_control"), control);
  await writeFile(secret, HISTORY, { mode: 0o600 });
  if (isRoot)
    execFileSync("sh", [
      "-c",
      `chmod 711 "${root}"; chown -R ${NOBODY}:${NOBODY} "${data}"; chmod 700 "${data}"`,
    ]);
  repository = await Repository.open({
    storage: memoryStorage(),
    app: "app",
    memory: new RepositoryMemory(join(root, "state")),
    mode: "write",
  });
  folder = repository.folder("postgres", String(SYSTEM));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const stored = () => Array.fromAsync(folder.listLog());

/** The first page of a segment, and zeros. */
const segment = (number: bigint) => emptySegment({ system: SYSTEM, number });

async function layOwn(name: string, content: Buffer | string): Promise<string> {
  await writeFile(join(wal, name), content);
  if (isRoot) await chown(join(wal, name), NOBODY, NOBODY);
  return join(wal, name);
}

describe("what lies in pg_wal under the name of a WAL file", () => {
  const refused = async (name: string, reason: RegExp) => {
    for (const push of [
      () => pushWal({ repository, path: join(wal, name) }),
      () => pushInto(folder, { directory: data, name }),
    ])
      await expect(push()).rejects.toMatchObject({ code: "WAL_UNREADABLE", message: reason });
    expect(await stored()).toEqual([]);
  };
  const reason = (text: string) => expect.stringContaining(text) as unknown as RegExp;

  test("is not read through a symbolic link", async () => {
    await symlink(secret, join(wal, "00000002.history"));
    await symlink(secret, join(wal, LABEL));
    await refused("00000002.history", reason("is a symbolic link"));
    await refused(LABEL, reason("is a symbolic link"));
  });

  test("is not waited for when it is a pipe", async () => {
    execFileSync("mkfifo", [join(wal, LABEL)]);
    await refused(LABEL, reason("no regular file"));
  });

  test("is not read into memory when it is larger than any such file", async () => {
    await layOwn(LABEL, "START WAL LOCATION");
    await truncate(join(wal, LABEL), 3 * 2 ** 30);
    await refused(LABEL, reason("is the most"));
  });

  test.runIf(isRoot)("is not read when it is another account's by a hard link", async () => {
    await link(secret, join(wal, "00000002.history"));
    await refused("00000002.history", reason("belongs to account 0"));
  });

  test.runIf(isRoot)("is not read through a pg_wal that leads elsewhere", async () => {
    const victim = join(root, "victim");
    await mkdir(victim, { mode: 0o700 });
    await writeFile(join(victim, "00000002.history"), HISTORY);
    await rename(wal, `${wal}.own`);
    await symlink(victim, wal);
    await refused("00000002.history", reason("belongs to account 0"));
  });

  test("is stored where it is the account's own", async () => {
    const path = await layOwn("00000002.history", HISTORY);
    await layOwn("000000010000000000000003", segment(3n));
    await pushWal({ repository, path });
    await pushInto(folder, { directory: data, name: "000000010000000000000003" });
    expect((await stored()).map(({ name }) => name)).toEqual([
      "00000001/000000010000000000000003",
      "00000002/00000002.history",
    ]);
  });

  test.each([
    ["no power of two", { segmentBytes: 3 << 20 }],
    ["too small", { segmentBytes: 512 }],
    ["too large", { segmentBytes: 2 ** 31 }],
    ["a page of none", { pageBytes: 0 }],
    ["a page of 3 KB", { pageBytes: 3072 }],
  ])("is refused when its segment says a size that none has: %s", async (_, sizes) => {
    const content = emptySegment({ system: SYSTEM, number: 0n, ...sizes });
    const path = await layOwn("000000010000000000000000", content);
    await expect(pushWal({ repository, path })).rejects.toMatchObject({
      code: "WAL_INVALID",
      message: expect.stringContaining("no server's have"),
    });
  });
});

describe.runIf(isRoot)("as root", () => {
  const open = () =>
    PushServer.open({
      folder,
      dataDirectory: data,
      maxBacklog: undefined,
      onStored() {},
      onFailure() {},
    });

  test("pipes are made by the server's account, and get into no folder that is closed to it", async () => {
    const victim = join(root, "victim");
    await mkdir(victim, { mode: 0o700 });
    await rename(wal, `${wal}.own`);
    await symlink(victim, wal);
    await expect(open()).rejects.toMatchObject({ code: "DATA_DIRECTORY_CLOSED" });
    expect(await readdir(victim)).toEqual([]);
  });

  test("nothing behind a link is removed with what a killed run left", async () => {
    const victim = join(root, "victim", "lifeboat.push");
    await mkdir(victim, { recursive: true, mode: 0o700 });
    await rename(wal, `${wal}.own`);
    await symlink(join(root, "victim"), wal);
    await expect(open()).rejects.toThrow(LifeboatError);
    expect(await readdir(join(root, "victim"))).toEqual(["lifeboat.push"]);
  });

  test("the note of given-up WAL is written through no link, and read through none", async () => {
    const name = "000000010000000000000003";
    await layOwn(name, segment(3n));
    await writeFile(join(wal, "archive_status", `${name}.ready`), "");
    await symlink(secret, join(wal, "lifeboat.given-up"));
    const away = () => Promise.reject(new LifeboatError({ code: "GONE", message: "", remedy: "" }));
    await expect(
      pushWal({ repository: away, path: join(wal, name), maxBacklog: 1 }),
    ).rejects.toThrow();
    expect(await readFile(secret, "utf8")).toBe(HISTORY);
    await expect(readGivenUp(data)).rejects.toMatchObject({ code: "WAL_UNREADABLE" });
  });

  test("a segment for a recovering server is written through no link", async () => {
    const name = "000000010000000000000003";
    await folder.storeLog(`00000001/${name}`, async function* () {
      yield segment(3n);
    });
    const scratch = join(root, "scratch");
    await mkdir(scratch);
    await chown(scratch, NOBODY, NOBODY);
    const account = { name: "nobody", uid: NOBODY, gid: NOBODY, foreign: true };
    const init = { folder, dataDirectory: data, walSegmentBytes: SEGMENT, account, scratch };
    await symlink(secret, join(wal, `lifeboat-${name}`));
    const served = Promise.withResolvers<string>();
    const server = await SegmentServer.open({ ...init, onServed: served.resolve });
    try {
      // The account's link in the place of pg_wal leads to ours, in which nothing may be made.
      await rename(wal, `${wal}.own`);
      await symlink(root, wal);
      const request = openSync(join(scratch, "request"), constants.O_WRONLY);
      writeSync(request, `${name} pg_wal/RECOVERYXLOG\n`);
      closeSync(request);
      await served.promise;
      expect(await readFile(secret, "utf8")).toBe(HISTORY);
      expect(await readdir(root)).not.toContain("RECOVERYXLOG");
      expect(await readFile(join(`${wal}.own`, "RECOVERYXLOG"))).toEqual(segment(3n));
    } finally {
      await server.close();
    }
  });
});

test("a request without an end is dropped, and the next one is heard", () => {
  const source = new PassThrough();
  const heard: string[] = [];
  onRequestLine(source, (line) => heard.push(line));
  source.write("000000010000000000000001\n0000");
  source.write("00010000000000000002\n");
  for (let chunk = 0; chunk < 64; chunk++) source.write("x".repeat(1 << 16));
  source.write("\n000000010000000000000003\n");
  return vi.waitFor(
    () =>
      expect(heard).toEqual([
        "000000010000000000000001",
        "000000010000000000000002",
        "000000010000000000000003",
      ]),
    PATIENCE,
  );
});

test("many who ask at once are told to come again, and one by one they are served", async () => {
  const failures: string[] = [];
  const server = await PushServer.open({
    folder,
    dataDirectory: data,
    maxBacklog: undefined,
    onStored() {},
    onFailure: (reason) => failures.push(reason),
  });
  try {
    const pipes = join(wal, "lifeboat.push");
    const { O_RDWR, O_NONBLOCK } = constants;
    const answers = openSync(join(pipes, "answer"), O_RDWR | O_NONBLOCK);
    const request = openSync(join(pipes, "request"), constants.O_WRONLY);
    const names = Array.from({ length: 50 }, (_, at) => `${String(at).padStart(8, "0")}.history`);
    writeSync(request, `${names.join("\n")}\n`);
    closeSync(request);
    let told = "";
    await vi.waitFor(() => {
      const part = Buffer.alloc(1 << 16);
      told += part.toString("latin1", 0, readSync(answers, part));
      expect(told.trim().split("\n")).toHaveLength(50);
    }, PATIENCE);
    closeSync(answers);
    // None of them is there; only those that were tried have a reason.
    expect(failures.length).toBe(8);
  } finally {
    await server.close();
  }
});
