import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findPrograms, hasProgram, installations } from "../src/server/programs.ts";

let folder: string;
const path = process.env.PATH;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-programs-"));
});

afterEach(async () => {
  process.env.PATH = path;
  delete process.env.LIFEBOAT_POSTGRES_BIN_PATH;
  await rm(folder, { recursive: true });
});

/** A program that prints a version, in place of a release that is not on this machine. */
async function installed(name: string, version: string, programs = ["postgres"]): Promise<string> {
  const bin = join(folder, name, "bin");
  await mkdir(bin, { recursive: true });
  for (const program of programs) {
    await writeFile(join(bin, program), `#!/bin/sh\necho "${program} (PostgreSQL) ${version}"\n`);
    await chmod(join(bin, program), 0o755);
  }
  return bin;
}

describe("finding server programs", () => {
  test("the configured directory comes before all others", async () => {
    const configured = await installed("configured", "16.2");
    process.env.LIFEBOAT_POSTGRES_BIN_PATH = await installed("system", "16.3");
    const found = await findPrograms({ binDirectory: configured, major: 16 });
    expect(found).toMatchObject({ directory: configured, version: "16.2", major: 16 });
  });

  test("a configured directory of another major version is passed over for one that fits", async () => {
    const configured = await installed("configured", "14.9");
    process.env.LIFEBOAT_POSTGRES_BIN_PATH = await installed("system", "16.3");
    const found = await findPrograms({ binDirectory: configured, major: 16 });
    expect(found).toMatchObject({ version: "16.3", origin: "system" });
  });

  test("places of the system come before PATH", async () => {
    process.env.PATH = `${await installed("in-path", "16.1")}:${path}`;
    process.env.LIFEBOAT_POSTGRES_BIN_PATH = await installed("system", "16.3");
    expect((await findPrograms({ major: 16 })).version).toBe("16.3");
  });

  test("a link in PATH leads to the real directory with its neighbours", async () => {
    const real = await installed("real", "16.1", ["postgres", "initdb"]);
    const links = join(folder, "links");
    await mkdir(links);
    await symlink(join(real, "postgres"), join(links, "postgres"));
    process.env.PATH = `${links}:${path}`;
    const found = await findPrograms({ major: 16, needs: ["postgres", "initdb"] });
    expect(found).toMatchObject({ directory: real, origin: "PATH" });
  });

  test("the embedded server is found where nothing is installed", async () => {
    process.env.PATH = "/nowhere";
    const found = await findPrograms({ major: 18 });
    expect(found.major).toBe(18);
    expect(await hasProgram(found, "initdb")).toBe(true);
  });

  test("a directory of client programs only is no server but can take a base backup", async () => {
    process.env.LIFEBOAT_POSTGRES_BIN_PATH = await installed("client", "16.3", ["pg_basebackup"]);
    await expect(findPrograms({ major: 16 })).rejects.toMatchObject({ code: "PROGRAMS_NOT_FOUND" });
    const client = await findPrograms({ major: 16, needs: ["pg_basebackup"] });
    expect(client.version).toBe("16.3");
  });

  test("a beta's version is read", async () => {
    const bin = await installed("beta", "19beta1");
    expect((await findPrograms({ binDirectory: bin, major: 19 })).major).toBe(19);
  });

  test("when none fits, the error says what was found where and what to install", async () => {
    process.env.LIFEBOAT_POSTGRES_BIN_PATH = await installed("old", "12.4");
    const failure = await findPrograms({ major: 11 }).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "PROGRAMS_NOT_FOUND",
      message: expect.stringContaining(`${folder}/old/bin is version 12.4`),
      remedy: expect.stringMatching(
        /apt-get install postgresql-11.*by 11, and then pg_upgrade, or .*pg_dump/,
      ),
    });
  });

  test("a configured directory without programs is a fault of the configuration", async () => {
    const failure = await findPrograms({ binDirectory: folder }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "PROGRAMS_NOT_FOUND", kind: "usage" });
  });

  test("each directory is given once, however many ways lead to it", async () => {
    const bin = await installed("once", "16.1");
    process.env.PATH = `${bin}:${bin}`;
    process.env.LIFEBOAT_POSTGRES_BIN_PATH = `${bin}:${bin}`;
    const directories: string[] = [];
    for await (const { directory } of installations()) directories.push(directory);
    expect(directories.filter((directory) => directory === bin)).toHaveLength(1);
  });
});
