import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What each floor may import of ours: only what lies below it. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  "packages/core": [],
  "packages/storage": ["@lifeboat/core"],
  "packages/sqlite": ["@lifeboat/core"],
  "packages/postgres": ["@lifeboat/core"],
  "packages/migrate": ["@lifeboat/core"],
  "packages/cli": ["core", "storage", "sqlite", "postgres", "migrate"].map((p) => `@lifeboat/${p}`),
};

/** Which folders may import which library (DESIGN's law of arrows). */
const OWNERS: Record<string, RegExp> = {
  "better-sqlite3": /^packages\/(sqlite|migrate)\/|^apps\//,
  pg: /^packages\/(postgres|migrate)\/|^apps\//,
  "drizzle-orm": /^apps\/|^packages\/cli\/src\/drizzle/,
  listr2: /^packages\/cli\/src\/render\.ts$/,
  commander: /^packages\/cli\//,
  valibot: /^packages\/cli\//,
};

const sources = globSync("{packages,apps}/*/{src/**/*.ts,*.ts}", { cwd: root });

function importsOf(file: string): string[] {
  const text = readFileSync(`${root}/${file}`, "utf8");
  const found = text.matchAll(/(?:^import|^export|^\} from|\bimport\()[^"'`;]*?["']([^"']+)["']/gm);
  return [...found].map((match) => match[1] as string);
}

function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] as string);
}

test("there are sources to look at, and imports are found in them", () => {
  expect(sources.length).toBeGreaterThan(60);
  expect(importsOf("packages/storage/src/filesystem.ts")).toContain("@lifeboat/core");
});

describe("imports point down only", () => {
  test.each(Object.keys(MAY_IMPORT))("%s", (folder) => {
    const ours = /^(@lifeboat\/|lifeboat($|\/))/;
    const manifest = JSON.parse(readFileSync(`${root}/${folder}/package.json`, "utf8"));
    const declared = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
    const imported = sources
      .filter((file) => file.startsWith(`${folder}/`))
      .flatMap((file) => importsOf(file).map((specifier) => packageOf(specifier)));
    const upward = [...declared, ...imported].filter(
      (name) => ours.test(name) && !MAY_IMPORT[folder]?.includes(name) && name !== manifest.name,
    );
    expect(upward).toEqual([]);
  });

  test("core needs nothing but Node", () => {
    const manifest = JSON.parse(readFileSync(`${root}/packages/core/package.json`, "utf8"));
    expect(manifest.dependencies).toEqual({});
  });

  test("no file reaches into another package's folder", () => {
    const reaching = sources.filter((file) =>
      importsOf(file).some((s) =>
        /^(\.\.\/)+(packages|apps|test)\/|^(\.\.\/){2,}[a-z-]+\/src\//.test(s),
      ),
    );
    expect(reaching).toEqual([]);
  });
});

describe("a library is used only where it belongs", () => {
  test.each(Object.entries(OWNERS))("%s", (library, owner) => {
    const strangers = sources.filter(
      (file) => !owner.test(file) && importsOf(file).some((s) => packageOf(s) === library),
    );
    expect(strangers).toEqual([]);
  });

  test("only the command line and the products' own programs print or exit", () => {
    const loud = sources.filter(
      (file) =>
        /^packages\/(?!cli\/)/.test(file) &&
        /\bconsole\.\w+\(|process\.exit\(|process\.(stdout|stderr)\.write\(/.test(
          readFileSync(`${root}/${file}`, "utf8"),
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
    const long = sources.filter(
      (file) => readFileSync(`${root}/${file}`, "utf8").split("\n").length > 301,
    );
    expect(long).toEqual([]);
    const vague = sources.filter((file) =>
      /\/(utils?|helpers?|lib|manager|common|misc)\b/.test(file),
    );
    expect(vague).toEqual([]);
  });
});
