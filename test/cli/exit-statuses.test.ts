import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  access,
  chmod,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { Repository, RepositoryMemory, sealedJson } from "@lifeboat/core";
import { filesystemStorage } from "@lifeboat/storage";
import Database from "better-sqlite3";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BIN, errorOf, Place } from "./command.ts";

let place: Place;
let backupId: string;
const REPOSITORY = ["--repository", "repository", "--app", "shop"];

beforeAll(async () => {
  place = await Place.make();
  const database = new Database(place.at("app.db"));
  database.pragma("journal_mode = wal");
  database.exec("create table orders (id integer primary key, note text)");
  database.exec("insert into orders (note) values ('first'), ('second')");
  database.close();
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    sqlite: { path: "app.db" },
    drill: { checks: [{ name: "has orders", sql: "select count(*) = 2 from orders" }] },
  });
  const ran = await place.run(["backup", "--json"]);
  backupId = JSON.parse(ran.stdout).id;
});

afterAll(() => place[Symbol.asyncDispose]());

test("status has the members of an archive where no log is shipped, too", async () => {
  const { archive } = JSON.parse((await place.run(["status", "--json"])).stdout);
  const unknown = { lagSeconds: null, lagBytes: null, lastSegment: null, oldestUnarchived: null };
  expect(archive).toEqual({ ok: false, ...unknown });
  // Who never shipped a log is not told of a failure.
  expect((await place.run(["status"])).stdout).not.toContain("FAILING");
});

describe("exit status 0, done:", () => {
  test.each([
    ["list", ["list", ...REPOSITORY]],
    ["list with the option before the verb", [...REPOSITORY, "list"]],
    ["verify --deep", ["verify", "--deep", ...REPOSITORY]],
    ["drill", ["drill"]],
    ["doctor", ["doctor"]],
    ["status", ["status"]],
    ["--version", ["--version"]],
    ["--help", ["--help"]],
    ["restore --help", ["restore", "--help"]],
  ])("%s", async (_, words) => {
    const ran = await place.run(words);
    expect(ran).toMatchObject({ status: 0 });
    expect(ran.stdout).not.toBe("");
  });

  test("restore, and the copy holds the rows", async () => {
    const ran = await place.run(["restore", "--to", "copy", "--backup", backupId, "--json"]);
    expect(ran.status).toBe(0);
    const { path, backup, engine } = JSON.parse(ran.stdout);
    expect({ backup, engine }).toEqual({ backup: backupId, engine: "sqlite" });
    const copy = new Database(path, { readonly: true });
    expect(copy.prepare("select note from orders").pluck().all()).toEqual(["first", "second"]);
    copy.close();
  });
});

describe("exit status 1, failed or found something wrong:", () => {
  test("a drill whose check is not true", async () => {
    await place.write("wrong.json", {
      app: "shop",
      repository: { type: "filesystem", path: "repository" },
      sqlite: { path: "app.db" },
      drill: {
        checks: [
          { name: "has a thousand orders", sql: "select count(*) = 1000 from orders" },
          { name: "says so as a text", sql: "select 'true'" },
          { name: "has no row", sql: "select 1 where false" },
          { name: "knows nothing", sql: "select null" },
          { name: "talks", sql: "select hex(zeroblob(1000))" },
        ],
      },
    });
    const ran = await place.run(["drill", "--config", "wrong.json", "--json"]);
    expect(ran.status).toBe(1);
    const { ok, checks } = JSON.parse(ran.stdout);
    expect(ok).toBe(false);
    expect(checks.slice(-5)).toEqual([
      { name: "has a thousand orders", ok: false, message: "answered 0 instead of true" },
      { name: "says so as a text", ok: false, message: 'answered "true" instead of true' },
      { name: "has no row", ok: false, message: "answered no row instead of true" },
      { name: "knows nothing", ok: false, message: "answered null instead of true" },
      { name: "talks", ok: false, message: `answered "${"0".repeat(199)}… instead of true` },
    ]);
  });

  test("a drill that cannot be recorded, whose result is said all the same, also with --quiet", async () => {
    const drills = place.at("repository/shop/drills");
    await rename(drills, place.at("drills"));
    // A place that cannot be written to, for root as well.
    await writeFile(drills, "");
    try {
      const ran = await place.run(["drill", "--quiet"]);
      expect(ran.status).toBe(1);
      expect(ran.stdout).toMatch(/drill .*: the copy came back sound, and this is NOT RECORDED/);
      expect(ran.stdout).toContain("ok      has orders");
      expect(ran.stdout).toMatch(/FAILED {2}the drill is recorded .*status will not know/);
      const said = await place.run(["drill", "--json"]);
      const { ok, notRecorded, checks } = JSON.parse(said.stdout);
      expect({ ok, status: said.status }).toEqual({ ok: false, status: 1 });
      expect(notRecorded).toContain("drills");
      const failed = checks.filter((check: { ok: boolean }) => !check.ok);
      expect(failed).toMatchObject([{ message: expect.stringContaining(notRecorded) }]);
    } finally {
      await rm(drills);
      await rename(place.at("drills"), drills);
    }
    const { notRecorded } = JSON.parse((await place.run(["drill", "--json"])).stdout);
    expect(notRecorded).toBeNull();
  });

  test("status --check with an alert", async () => {
    const ran = await place.run(["status", "--check", "--json"]);
    const { alerts } = JSON.parse(ran.stdout);
    expect(ran.status).toBe(alerts.length > 0 ? 1 : 0);
  });

  test("a damaged object, named by verify and by restore, which writes nothing", async () => {
    const object = `shop/sqlite/app/backups/${backupId}/app.db.zst`;
    const file = place.at("repository", object);
    const sound = await readFile(file);
    await chmod(file, 0o600);
    await writeFile(file, sound.with(sound.length - 20, (sound.at(-20) ?? 0) ^ 1));
    try {
      const verified = await place.run(["verify", "--json"]);
      expect(verified.status).toBe(1);
      const { ok, problems } = JSON.parse(verified.stdout);
      expect(ok).toBe(false);
      expect(problems).toMatchObject([{ object, code: "CHECKSUM_MISMATCH" }]);
      const restored = await place.run(["restore", "--to", "damaged", "--json"]);
      expect(restored.status).toBe(1);
      expect(errorOf(restored).message).toContain(object);
      expect(await readdir(place.path)).not.toContain("damaged");
    } finally {
      await writeFile(file, sound);
    }
  });

  test("a backup that a newer Lifeboat wrote, with a remedy that helps", async () => {
    const file = place.at("repository/shop/sqlite/app/backups", backupId, "manifest.json");
    const sound = await readFile(file);
    const newer = { ...JSON.parse(sound.toString()), format: 2 };
    await chmod(file, 0o600);
    await writeFile(file, sealedJson(newer));
    try {
      const ran = await place.run(["restore", "--to", "newer", "--json"]);
      expect(ran.status).toBe(1);
      expect(errorOf(ran)).toMatchObject({
        code: "FORMAT_TOO_NEW",
        remedy: expect.stringMatching(/^use a newer Lifeboat, or /),
      });
    } finally {
      await writeFile(file, sound);
    }
  });

  test("a drill whose temporary directory is not there", async () => {
    const ran = await place.run(["drill", "--json"], { TMPDIR: place.at("nowhere") });
    expect(ran.status).toBe(1);
    expect(errorOf(ran)).toMatchObject({
      code: "SCRATCH_UNUSABLE",
      message: expect.stringContaining(place.at("nowhere")),
    });
  });

  test("a working directory that is gone is no defect of the command", async () => {
    await mkdir(place.at("gone"));
    const line = 'cd "$1" && rmdir "$1" && exec "$2" "$3" list --json';
    const { stdout } = await execa(
      "sh",
      ["-c", line, "sh", place.at("gone"), process.execPath, BIN],
      {
        reject: false,
        env: place.environment,
      },
    );
    expect(JSON.parse(stdout).error.code).toBe("WORKING_DIRECTORY_GONE");
  });

  test("a repository that is not there", async () => {
    const ran = await place.run(["list", "--repository", "nowhere", "--app", "shop", "--json"]);
    expect(ran.status).toBe(1);
    expect(errorOf(ran).code).toBe("REPOSITORY_MISSING");
    expect(await readdir(place.path)).not.toContain("nowhere");
  });

  test("a repository that was there and is gone", async () => {
    await rename(place.at("repository"), place.at("unmounted"));
    try {
      const ran = await place.run(["backup", "--json"]);
      expect(ran.status).toBe(1);
      expect(errorOf(ran).code).toBe("REPOSITORY_GONE");
    } finally {
      await rename(place.at("unmounted"), place.at("repository"));
    }
  });
});

describe("exit status 2, wrong usage, nothing touched:", () => {
  test("options of another engine's backup, before a repository is made or a lock is taken", async () => {
    await place.write("new.json", {
      app: "shop",
      repository: { type: "filesystem", path: "not-yet" },
      sqlite: { path: "app.db" },
    });
    const ran = await place.run(["backup", "--jobs", "2", "--config", "new.json", "--json"]);
    expect(ran.status).toBe(2);
    expect(errorOf(ran).code).toBe("OPTION_NOT_FOR_SQLITE");
    expect(await readdir(place.path)).not.toContain("not-yet");
  });

  test.each([
    ["no verb", [], "USAGE"],
    ["an unknown verb", ["bakcup"], "USAGE"],
    ["an unknown option", ["list", "--frobnicate"], "USAGE"],
    ["a missing option", ["restore"], "USAGE"],
    ["a missing value", ["restore", "--to"], "USAGE"],
    ["an unknown value", ["backup", "--type", "differential"], "USAGE"],
    ["too many words", ["list", "everything"], "USAGE"],
    ["a directory that is empty text", ["restore", "--to", "", "--force"], "USAGE"],
    ["a configuration that is empty text", ["list", "--config="], "USAGE"],
    ["an empty word", ["wal", "push", ""], "USAGE"],
    ["an engine that nobody knows", ["list", "--engine", "oracle"], "USAGE"],
    ["an engine that is not configured", ["backup", "--engine", "postgres"], "USAGE"],
    ["the role of an engine that has none", ["doctor", "--sql", "--engine", "sqlite"], "USAGE"],
    ["a size that is none", ["backup", "--max-rate", "fast"], "USAGE"],
    [
      "an instant without a zone",
      ["restore", "--to", "x", "--at", "2026-11-22T10:15:00"],
      "TIME_INVALID",
    ],
    ["--delta of SQLite", ["restore", "--to", "x", "--delta"], "OPTION_NOT_FOR_SQLITE"],
    ["two targets", ["restore", "--to", "x", "--immediate", "--backup", "y"], "USAGE"],
    [
      "--exclusive without a before",
      ["restore", "--to", "x", "--immediate", "--exclusive"],
      "USAGE",
    ],
    ["a mapping that is none", ["restore", "--to", "x", "--tablespace-mapping", "a=b"], "USAGE"],
    ["--repository without --app", ["list", "--repository", "repository"], "USAGE"],
    ["--app without --repository", ["list", "--app", "shop"], "USAGE"],
    [
      "--repository beside --config",
      ["list", ...REPOSITORY, "--config", "lifeboat.config.json"],
      "USAGE",
    ],
    ["a backup without a configuration", ["backup", ...REPOSITORY], "USAGE"],
    ["a configuration that is not there", ["list", "--config", "missing.json"], "CONFIG_MISSING"],
  ])("%s", async (_, words, code) => {
    const before = await readdir(place.path);
    const ran = await place.run([...words, "--json"]);
    expect(ran.status).toBe(2);
    const error = errorOf(ran);
    expect(error.code).toBe(code);
    expect(error.remedy).not.toBe("");
    expect(await readdir(place.path)).toEqual(before);
  });

  test("no configuration anywhere", async () => {
    await using empty = await Place.make();
    const ran = await empty.run(["list", "--json"]);
    expect(ran.status).toBe(2);
    expect(errorOf(ran).code).toBe("CONFIG_MISSING");
  });
});

test("exit status 3, refused: a directory that holds something is not restored into", async () => {
  await mkdir(place.at("full"));
  await writeFile(place.at("full", "app.db"), "precious");
  const ran = await place.run(["restore", "--to", "full", "--json"]);
  expect(ran.status).toBe(3);
  expect(await readdir(place.at("full"))).toEqual(["app.db"]);
  await rm(place.at("full"), { recursive: true });
});

test("exit status 3, refused: nothing is restored into the app's folder of the repository, also through a link", async () => {
  await symlink(place.at("repository"), place.at("linked"));
  for (const to of ["repository/shop/drills/copy", "linked/shop/copy"]) {
    const ran = await place.run(["restore", "--to", to, "--json"]);
    expect(ran.status).toBe(3);
    expect(errorOf(ran).code).toBe("TARGET_IN_REPOSITORY");
    await expect(access(place.at(to))).rejects.toThrow("ENOENT");
  }
});

test("exit status 3, refused: nothing is restored below a data directory", async () => {
  await mkdir(place.at("cluster", "base"), { recursive: true });
  await writeFile(place.at("cluster", "PG_VERSION"), "15\n");
  for (const to of ["cluster/copy", "cluster/base/copy"]) {
    const ran = await place.run(["restore", "--to", to, "--json"]);
    expect([ran.status, errorOf(ran).code]).toEqual([3, "TARGET_IN_DATA_DIRECTORY"]);
    await expect(access(place.at(to))).rejects.toThrow("ENOENT");
  }
});

test("exit status 4, locked: while another run backs the same database up", async () => {
  const repository = await Repository.open({
    storage: filesystemStorage({ path: place.at("repository") }),
    app: "shop",
    memory: new RepositoryMemory(place.at("state")),
    mode: "write",
  });
  const lock = await repository.lock("sqlite-app", "backup of app");
  try {
    const ran = await place.run(["backup", "--json"]);
    expect(ran.status).toBe(4);
    expect(errorOf(ran).code).toBe("LOCKED");
  } finally {
    await lock.release();
  }
});

describe("exit status 5, not found:", () => {
  test.each([
    ["a backup", ["--backup", "20200101T000000.000Z-full"]],
    ["an instant outside every window", ["--at", "2020-01-01T00:00:00Z"]],
  ])("%s", async (_, target) => {
    const ran = await place.run(["restore", "--to", "never", ...target, "--json"]);
    expect(ran.status).toBe(5);
    expect(await readdir(place.path)).not.toContain("never");
  });
});

describe("stopped by a signal, after cleaning up:", () => {
  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)("%s gives %i", async (signal, status) => {
    await using own = await Place.make();
    const database = new Database(own.at("app.db"));
    database.exec("create table blobs (body blob)");
    // Large enough that the backup is under way when the signal comes.
    const insert = database.prepare("insert into blobs values (randomblob(1000000))");
    for (let row = 0; row < 150; row += 1) insert.run();
    database.close();
    await own.write("lifeboat.config.json", {
      app: "shop",
      repository: { type: "filesystem", path: "repository" },
      sqlite: { path: "app.db" },
    });
    const child = spawn(process.execPath, [BIN, "backup"], {
      cwd: own.path,
      env: { ...process.env, ...own.environment },
      stdio: ["ignore", "ignore", "pipe"],
    });
    for await (const chunk of child.stderr) if (String(chunk).includes("back up app")) break;
    child.kill(signal);
    if (child.exitCode === null) await once(child, "exit");
    expect(child.exitCode).toBe(status);
    const left = await readdir(own.at("repository"), { recursive: true, withFileTypes: true });
    const files = left.filter((entry) => entry.isFile()).map(({ name }) => name);
    expect(files.toSorted()).toEqual(["RESTORE.md", "lifeboat.json"]);
  });
});
