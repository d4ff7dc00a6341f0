import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { importsOf, importsUnnamed, packageOf } from "./support/imports-of.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const middle = ["@lifeboat/storage", "@lifeboat/sqlite", "@lifeboat/postgres", "@lifeboat/migrate"];
const product = ["lifeboat", "@lifeboat/traffic"];
const products = ["documint", "cronping", "flagbit", "webhookvault"];

/** What each folder may import of ours: only what lies below it. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  "packages/core": [],
  "packages/storage": ["@lifeboat/core"],
  "packages/sqlite": ["@lifeboat/core"],
  "packages/postgres": ["@lifeboat/core"],
  "packages/migrate": ["@lifeboat/core"],
  "packages/cli": ["@lifeboat/core", ...middle],
  "apps/traffic": [],
  ...Object.fromEntries(products.map((name) => [`apps/${name}`, product])),
  "apps/demo": [...product, ...products.map((name) => `@lifeboat/${name}`), "@lifeboat/postgres"],
};

/** Which files may import which library (DESIGN's law of arrows). */
const OWNERS: Record<string, RegExp> = {
  "better-sqlite3": /^(packages\/(sqlite|migrate)|apps\/traffic)\/src\//,
  pg: /^(packages\/(postgres|migrate)|apps\/traffic)\/src\//,
  "pg-connection-string":
    /^packages\/postgres\/src\/(connection\/connection|basebackup\/libpq-environment)\.ts$/,
  "pg-copy-streams": /^packages\/migrate\/src\/load\/copy-stream\.ts$/,
  "tar-stream":
    /^packages\/postgres\/src\/(unpack\/(unpack|read-archive)|snapshot\/store-base-backup|logical\/dump-tar)\.ts$/,
  "drizzle-orm": /^apps\/\w+\/src\/schema\/|^packages\/cli\/src\/drizzle\.ts$/,
  listr2: /^packages\/cli\/src\/render\.ts$/,
  commander: /^packages\/cli\/src\/program\.ts$/,
  valibot: /^packages\/cli\/src\/config\/schema\.ts$/,
  esbuild: /^packages\/cli\/build\.mjs$/,
  execa:
    /^(packages\/postgres|apps\/demo)\/src\/|^packages\/cli\/src\/(rehearse\/traffic|switch-hook)\.ts$/,
  // Outside programs are run by execa; these are Node itself: with a channel for the file's bytes, and let go of.
  "node:child_process":
    /^packages\/(sqlite\/src\/raw\/raw-reader|postgres\/src\/server\/start-detached)\.ts$/,
};

const sources = globSync("{packages,apps}/*/{src,bin}/**/*.{ts,mjs,cjs}", { cwd: root }).concat(
  globSync("{packages,apps}/*/*.{ts,mjs,cjs}", { cwd: root }),
);
const textOf = (file: string) => readFileSync(join(root, file), "utf8");
const isRelative = (name: string) => name.startsWith(".");
const imports = new Map(sources.map((file) => [file, importsOf(textOf(file))]));

function manifestOf(folder: string) {
  const { name, dependencies, devDependencies, optionalDependencies } = JSON.parse(
    textOf(`${folder}/package.json`),
  );
  return {
    name,
    dependencies,
    all: { ...dependencies, ...devDependencies, ...optionalDependencies },
  };
}

describe("imports are found", () => {
  test.each([
    ['import x from "pg";', "pg"],
    ['import "pg";', "pg"],
    ["import type {\n  A, // it's; one of them\n  B,\n} from 'pg';", "pg"],
    ['const a = 1; import { type A } from "pg";', "pg"],
    ['export * from "pg";', "pg"],
    ['export {\n  type A,\n} from "pg/lib";', "pg"],
    ['  const { a } = await import(\n    "pg"\n  );', "pg"],
    ["import(`pg`)", "pg"],
    ['let a: import("pg").Client;', "pg"],
    ['import a = require("pg");', "pg"],
    ['const a = require("@types/pg/x");', "@types/pg"],
    ['import.meta.resolve("pg")', "pg"],
  ])("in %j", (text, name) => {
    expect(importsOf(text).map(packageOf)).toEqual([name]);
  });

  test("and those that only the run decides are known", () => {
    expect(importsUnnamed("import(file)")).toBe(true);
    expect(importsUnnamed(`import(\`pg-\${x}\`)`)).toBe(true);
    expect(importsUnnamed('import("pg")')).toBe(false);
    const unnamed = sources.filter((file) => importsUnnamed(textOf(file)));
    expect(unnamed.sort()).toEqual([
      // The command's bundle or its sources; the bundle's own require; the user's configuration.
      "packages/cli/bin/start.cjs",
      "packages/cli/build.mjs",
      "packages/cli/src/config/read-file.ts",
    ]);
  });

  test("in every package and app", () => {
    const folders = globSync("{packages,apps}/*/package.json", { cwd: root }).map(dirname);
    expect(folders.sort()).toEqual(Object.keys(MAY_IMPORT).sort());
    expect(sources.length).toBeGreaterThan(300);
  });
});

describe("imports point down only", () => {
  test.each(Object.entries(MAY_IMPORT))("%s", (folder, below) => {
    const manifest = manifestOf(folder);
    const imported = sources
      .filter((file) => file.startsWith(`${folder}/`))
      .flatMap((file) => imports.get(file) ?? []);
    const upward = [...Object.keys(manifest.all), ...imported.map(packageOf)].filter(
      (name) => /^(@lifeboat\/|lifeboat$)/.test(name) && !below.includes(name),
    );
    expect(upward).toEqual([]);
  });

  test.each(Object.keys(MAY_IMPORT))("%s declares no library that it does not use", (folder) => {
    const used = sources
      .filter((file) => file.startsWith(`${folder}/`))
      .flatMap((file) => (imports.get(file) ?? []).map(packageOf));
    const { dependencies = {} } = manifestOf(folder);
    expect(Object.keys(dependencies).filter((name) => !used.includes(name))).toEqual([]);
  });

  test("core needs nothing but Node", () => {
    expect(manifestOf("packages/core").all).toEqual({});
    const foreign = sources
      .filter((file) => file.startsWith("packages/core/"))
      .flatMap((file) => imports.get(file) ?? [])
      .filter((name) => !/^(node:|\.)/.test(name));
    expect(foreign).toEqual([]);
  });

  test("and in no ring, of however many files", () => {
    const below = new Map(
      sources.map((file) => [
        file,
        (imports.get(file) ?? []).filter(isRelative).map((name) => join(dirname(file), name)),
      ]),
    );
    for (let before = 0; before !== below.size; ) {
      before = below.size;
      const imported = new Set([...below.values()].flat());
      for (const [file, names] of below)
        if (!imported.has(file) || !names.some((name) => below.has(name))) below.delete(file);
    }
    expect([...below.keys()]).toEqual([]);
  });

  test("no file reaches into another package's folder", () => {
    const reaching = sources.filter((file) => {
      const own = `${file.split("/").slice(0, 2).join("/")}/`;
      return imports
        .get(file)
        ?.some((name) => isRelative(name) && !join(dirname(file), name).startsWith(own));
    });
    expect(reaching).toEqual([]);
  });
});

describe("a library is used only where it belongs", () => {
  test.each(Object.entries(OWNERS))("%s", (library, owner) => {
    const users = sources.filter((file) =>
      imports.get(file)?.some((name) => packageOf(name) === library),
    );
    expect(users.filter((file) => !owner.test(file))).toEqual([]);
    expect(users, "an owner of something that nobody uses").not.toEqual([]);
  });

  test("every library has its owners", () => {
    const libraries = Object.keys(MAY_IMPORT).flatMap((folder) =>
      Object.keys(manifestOf(folder).dependencies ?? {}),
    );
    const foreign = libraries.filter((name) => !/^(@lifeboat\/|lifeboat$)/.test(name));
    expect(foreign.filter((name) => !(name in OWNERS))).toEqual([]);
  });

  // Two of them in one process drop each other's locks, and delete each other's WAL (sqlite.org/howtocorrupt.html, 2.2.1).
  test("there is one SQLite in a process", () => {
    expect([...imports].filter(([, names]) => names.includes("node:sqlite"))).toEqual([]);
    const lock = textOf("pnpm-lock.yaml");
    expect(new Set(lock.match(/^ {2}better-sqlite3@[\d.]+/gm)).size).toBe(1);
  });

  test("only the command line and the products' own programs print or exit", () => {
    const loud = sources.filter(
      (file) =>
        /^packages\/(?!cli\/)/.test(file) &&
        /\bconsole\.\w+\(|process\.(exit\(|exitCode|abort\()|process\.(stdout|stderr)\.write\(/.test(
          textOf(file),
        ),
    );
    // A program of its own, started as a child, speaks through its standard output.
    expect(loud.filter((file) => !/-(child|worker)\.ts$/.test(file))).toEqual([]);
  });
});

describe("a stranger finds the way", () => {
  test("at the root lies only what was agreed", () => {
    const agreed = [
      "packages",
      "apps",
      "test",
      "turbo.json",
      "pnpm-workspace.yaml",
      "pnpm-lock.yaml",
      "package.json",
      "README.md",
      "node_modules",
    ];
    const found = globSync("*", { cwd: root }).filter((name) => !agreed.includes(name));
    expect(found).toEqual([]);
  });

  test("every engine has the same five files", () => {
    for (const engine of ["sqlite", "postgres"])
      for (const name of ["engine", "inspect", "snapshot", "log", "restore"])
        expect(sources).toContain(`packages/${engine}/src/${name}.ts`);
  });

  test("no file is longer than 300 lines, and none has a name that says nothing", () => {
    const long = sources.filter((file) => textOf(file).split("\n").length > 301);
    expect(long).toEqual([]);
    const vague = sources.filter((file) =>
      /\/(utils?|helpers?|lib|manager|common|misc)\b/.test(file),
    );
    expect(vague).toEqual([]);
  });
});
