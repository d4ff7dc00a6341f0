import {
  chown,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import {
  type ClusterRepository,
  repositoryBeside,
  walCommand,
} from "../support/postgres-repository.ts";

describe("pushing WAL", () => {
  let cluster: TestCluster;
  let stranger: TestCluster;
  let kept: ClusterRepository;
  let command: string[];
  let segment: string;

  beforeAll(async () => {
    [cluster, stranger] = await Promise.all([
      startCluster({ initdb: ["--wal-segsize=1"] }),
      startCluster({ initdb: ["--wal-segsize=1"] }),
    ]);
    kept = await repositoryBeside(cluster);
    command = await walCommand(cluster);
    segment = await wholeSegment(cluster);
  });
  afterAll(async () => {
    await cluster?.stop();
    await stranger?.stop();
  });

  /** A segment that the server has finished and keeps. */
  async function wholeSegment({ query }: TestCluster): Promise<string> {
    const [row] = await query<{ name: string }>("select pg_walfile_name(pg_switch_wal()) as name");
    return row?.name as string;
  }

  /** As the server runs it: in its data directory, with a path from there. */
  async function push(path: string, cwd = cluster.dataDirectory) {
    const [program, ...args] = command as [string, ...string[]];
    const { exitCode, stderr, stdout } = await execa(program, [...args, "push", path], {
      cwd,
      reject: false,
    });
    return { exitCode, said: `${stderr}${stdout}` };
  }

  const stored = async () => (await Array.fromAsync(kept.folder.listLog())).map(({ name }) => name);

  test("stores a segment, silently; the same again is fine, also several at once", async () => {
    const at = `pg_wal/${segment}`;
    const several = await Promise.all([push(at), push(at), push(at)]);
    expect(several).toEqual(several.map(() => ({ exitCode: 0, said: "" })));
    expect(await push(join(cluster.dataDirectory, at))).toEqual({ exitCode: 0, said: "" });
    expect(await stored()).toEqual([`00000001/${segment}`]);
    const back = await Array.fromAsync(kept.folder.readLog(`00000001/${segment}`));
    const original = await readFile(join(cluster.dataDirectory, at));
    expect(original.equals(Buffer.concat(back))).toBe(true);
  });

  test("other bytes under the same name are refused, and what is stored stays", async () => {
    await push(`pg_wal/${segment}`);
    const path = join(cluster.dataDirectory, "pg_wal", segment);
    const before = await readFile(path);
    const changed = Buffer.from(before);
    changed.writeUInt8(changed.readUInt8(500_000) ^ 1, 500_000);
    await writeFile(path, changed);
    try {
      const { exitCode, said } = await push(`pg_wal/${segment}`);
      expect(exitCode).toBe(1);
      expect(said).toContain("with other content");
    } finally {
      await writeFile(path, before);
    }
    expect((await push(`pg_wal/${segment}`)).exitCode).toBe(0);
  });

  test("a segment of another cluster is refused", async () => {
    const foreign = await wholeSegment(stranger);
    await copyFile(
      join(stranger.dataDirectory, "pg_wal", foreign),
      join(cluster.directory, foreign),
    );
    const { exitCode, said } = await push(join(cluster.directory, foreign));
    expect(exitCode).toBe(1);
    expect(said).toContain(`not from ${kept.folder.database}`);
  });

  test("what is cut, renamed or no WAL at all is refused", async () => {
    const whole = await readFile(join(cluster.dataDirectory, "pg_wal", segment));
    const folder = join(cluster.directory, "mangled");
    await mkdir(folder);
    const files: Record<string, Buffer> = {
      [segment.replace(/.$/, "F")]: whole,
      [segment.replace(/^00000001/, "00000000")]: whole,
      "000000010000000000000009": whole.subarray(0, 512 * 1024),
      "00000001000000000000000A": Buffer.alloc(1 << 20),
      "00000001000000000000000B": Buffer.alloc(0),
      "00000009.history": Buffer.from("not a history"),
      "something.conf": Buffer.from("x"),
    };
    const before = await stored();
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(folder, name), content);
      const { exitCode, said } = await push(join(folder, name));
      expect({ name, exitCode }).toEqual({ name, exitCode: 1 });
      expect(said).toContain(name);
    }
    expect((await push("pg_wal/00000001000000000000FFFF")).exitCode).toBe(1);
    expect(await stored()).toEqual(before);
  });

  test("histories, backup labels and partial segments are stored as they are", async () => {
    const folder = join(cluster.directory, "others");
    await mkdir(folder);
    const { uid, gid } = await stat(cluster.directory);
    const whole = await readFile(join(cluster.dataDirectory, "pg_wal", segment));
    const files: Record<string, Buffer> = {
      "00000002.history": Buffer.from("1\t0/3000000\tno recovery target specified\n"),
      [`${segment}.00000028.backup`]: Buffer.from("START WAL LOCATION: 0/3000028\n"),
      [`${segment}.partial`]: whole,
    };
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(folder, name), content);
      // As the server itself would make it: root reads nothing there that is another account's.
      await chown(join(folder, name), uid, gid);
      expect(await push(join(folder, name))).toEqual({ exitCode: 0, said: "" });
      const logged = Buffer.concat(
        await Array.fromAsync(kept.folder.readLog(`${name.slice(0, 8)}/${name}`)),
      );
      expect(logged.equals(content)).toBe(true);
    }
    await rm(kept.file(kept.folder.logPath("00000002/00000002.history")));
  });

  test("fails while the repository is away, makes no new one in its place, and goes on when it is back", async () => {
    const next = await wholeSegment(cluster);
    await rename(kept.path, `${kept.path}-away`);
    await mkdir(kept.path);
    expect((await push(`pg_wal/${next}`)).exitCode).toBe(1);
    expect(await readdir(kept.path)).toEqual([]);
    await rm(kept.path, { recursive: true });
    await rename(`${kept.path}-away`, kept.path);
    expect((await push(`pg_wal/${next}`)).exitCode).toBe(0);
  });
});
