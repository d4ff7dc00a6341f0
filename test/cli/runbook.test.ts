import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { CUTOVER_STEPS, GATES } from "@lifeboat/migrate";
import Database from "better-sqlite3";
import { marked } from "marked";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { recordedCutover } from "../support/recorded-cutover.ts";
import { errorOf, Place } from "./command.ts";
import { commandsIn, commandsInPage, tokensOf, typed } from "./runbook-commands.ts";

/** A product's folder and a check's name that try to be markup, shell and a page of their own. */
const HOSTILE =
  "<img src=x onerror=alert(1)> `touch pwned` $(touch pwned) | [a](b) '\"\n# drawn\n```\n";
const PASSWORDS = ["s3cret-in-the-url", "s3cret-in-the-query", "s3cret-behind"];

let place: Place;
let home: string;

beforeAll(async () => {
  place = await Place.make();
  home = place.at(HOSTILE);
  await mkdir(home);
  sqlite(
    "create table orders (id integer primary key, note text); insert into orders values (1, 'kept')",
  );
  await place.write(join(HOSTILE, "lifeboat.config.json"), {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    sqlite: { name: "orders", path: "<b>|`.db" },
    postgres: {
      url: `postgres://shop:${PASSWORDS[0]}@127.0.0.1:1/shop?password=${PASSWORDS[1]}&sslpassword=${PASSWORDS[2]}`,
    },
    drill: { checks: [{ name: `orders ${HOSTILE}`, sql: "select count(*) = 1 from orders" }] },
  });
});

afterAll(() => place?.[Symbol.asyncDispose]());

function sqlite(sql: string): void {
  const database = new Database(join(home, "<b>|`.db"));
  database.exec(sql);
  database.close();
}

function notes(): unknown[] {
  const database = new Database(join(home, "<b>|`.db"), { readonly: true });
  try {
    return database.prepare("select note from orders order by id").pluck().all();
  } finally {
    database.close();
  }
}

async function json(...words: string[]) {
  const ran = await place.run([...words, "--json"], {}, HOSTILE);
  expect(ran.status, ran.stderr + ran.stdout).toBe(0);
  return JSON.parse(ran.stdout);
}

const type = (line: string) => typed(line, place.environment);

test("before any backup each runbook says that nothing was measured, and what to do first", async () => {
  for (const name of ["restore", "drill", "cutover"]) {
    const { text, steps } = await json("runbook", name);
    expect(text).toContain("There is no repository in");
    expect(text).toContain("unknown: not measured yet");
    expect(steps.every(({ seconds }: { seconds: unknown }) => seconds === null)).toBe(true);
  }
  expect(await readdir(home)).not.toContain("repository");
});

describe("the runbook of a restore", () => {
  test("is typed word by word, and brings SQLite back; its way back, too", async () => {
    await json("backup");
    await json("drill");
    sqlite("update orders set note = 'mistaken'");
    const { text } = await json("runbook", "restore");
    const commands = commandsIn(text);
    expect([...commands.keys()]).toEqual(["Do", "The way back"]);
    const printed: string[] = [];
    for (const line of commands.get("Do") ?? []) printed.push(await type(line));
    expect(printed).toContain("ok");
    expect(notes()).toEqual(["kept"]);
    expect((await json("list")).backups).toHaveLength(2);
    for (const line of commands.get("The way back") ?? []) await type(line);
    expect(notes()).toEqual(["mistaken"]);
  });

  test("shows what the command prints, and how long a drill took", async () => {
    const list = await json("list");
    const record = (await drills()).at(-1);
    const { text, steps } = await json("runbook", "restore");
    expect(text).toContain(list.backups.at(-1).id);
    expect(text).toContain("holds the state of");
    expect(steps.map(({ title }: { title: string }) => title)).toEqual(["restore orders"]);
    expect(steps[0].seconds).toBe(record.seconds.fetch + record.seconds.restore);
  });

  test("holds the repository's own guide, with what its words stand for", async () => {
    const { text } = await json("runbook", "restore");
    const guide = await readFile(join(home, "repository/RESTORE.md"), "utf8");
    expect(text).toContain(guide.trimEnd());
  });

  test("by the repository alone is typed as well", async () => {
    const own = ["--repository", join(home, "repository"), "--app", "shop"];
    const ran = await place.run(["runbook", "restore", ...own, "--json"]);
    expect(ran.status, ran.stderr).toBe(0);
    const [list = "", restore = "", check = ""] =
      commandsIn(JSON.parse(ran.stdout).text).get("Do") ?? [];
    const aside = place.at("aside");
    await type(list);
    await type(restore.replaceAll("/var/tmp/restored-shop", aside));
    expect(await type(check.replaceAll("/var/tmp/restored-shop", aside))).toBe("ok");
  });
});

describe("the runbook of a drill", () => {
  test("is typed word by word, and its steps are those that the drill shows", async () => {
    const before = (await drills()).length;
    const { text, steps } = await json("runbook", "drill");
    const lines = commandsIn(text).get("Do") ?? [];
    expect(lines).toHaveLength(2);
    for (const line of lines) await type(line);
    expect(await drills()).toHaveLength(before + 1);
    const shown = (await place.run(["drill"], {}, HOSTILE)).stderr;
    for (const { title } of steps) expect(shown).toContain(title);
    expect(steps.map(({ id }: { id: string }) => id)).toEqual(["restore", "revive", "check"]);
  });
});

describe("the runbook of a cutover", () => {
  const ids = CUTOVER_STEPS.map(({ id }) => id);

  test("lists the steps that the cutover runs, each once and in order, the abort point before the switch", async () => {
    const { text, steps } = await json("runbook", "cutover");
    expect(steps.map(({ id }: { id: string }) => id)).toEqual(ids);
    const shown = marked.lexer(text).flatMap((token) => {
      if (token.type === "blockquote") return ["abort"];
      if (token.type !== "heading" || token.depth !== 3) return [];
      const id = token.tokens?.find((part) => part.type === "codespan")?.raw;
      return id === undefined ? [] : [id.replaceAll("`", "")];
    });
    const at = ids.indexOf("switch");
    expect(shown).toEqual([...ids.slice(0, at), "abort", ...ids.slice(at)]);
    const page = (await json("runbook", "cutover", "--format", "html")).text;
    const inPage = [...page.matchAll(/<h3>[^<]*<code>([^<]*)<\/code>/g)].map(([, id]) => id);
    expect(inPage).toEqual(ids);
  });

  test("tells why, before what, who decides, what is typed and printed, where to stop and the way back", async () => {
    const { text } = await json("runbook", "cutover");
    const headings = marked
      .lexer(text)
      .flatMap((token) => (token.type === "heading" && token.depth === 2 ? [token.text] : []));
    expect(headings).toEqual([
      "Purpose",
      "Before you begin",
      "Who decides",
      "Do",
      "The steps of the cutover",
      "The abort point",
      "The way back",
      "The end of the way back",
      "If a command fails",
    ]);
    const commands = commandsIn(text);
    const verbs = (name: string) =>
      commands.get(name)?.map((line) => line.replace(/^.*' (migrate \w+|status)$/s, "$1"));
    expect(verbs("Do")).toEqual(["migrate cutover", "migrate status", "status", "migrate sync"]);
    expect(verbs("The way back")).toEqual(["migrate rollback"]);
    for (const gate of GATES) expect(text).toMatch(new RegExp(`^${gate} +met +…$`, "m"));
    expect(text).toMatch(/^writers held +…$/m);
    expect(text).toMatch(/^brought back +… rows$/m);
    // What is known of this product.
    expect(text).toContain("| app | `shop` |");
    expect(text).toMatch(/\(8\.00 KiB\)/);
    expect(text.match(/^- If it fails: /gm)).toHaveLength(ids.length);
    expect(text.match(/^- Expected: /gm)).toHaveLength(ids.length);
  });

  test("tells the times of the last cutover or rehearsal that was recorded, and of backups until then", async () => {
    const backups = (await json("list")).backups;
    const own = async () => {
      const { steps } = await json("runbook", "cutover");
      return Object.fromEntries(
        steps.map(({ id, seconds }: { id: string; seconds: number }) => [id, seconds]),
      );
    };
    const { startedAt, finishedAt } = backups.at(-1);
    const took = (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
    expect(await own()).toMatchObject({ "backup-sqlite": took, freeze: null, switch: null });
    await recordedCutover(join(home, "repository"), "shop", { freeze: 0.5 }, "rehearse");
    expect(await own()).toMatchObject({ "backup-sqlite": 0, freeze: 0.5, switch: 0 });
    await recordedCutover(join(home, "repository"), "shop", { freeze: 0.0421, switch: 1.5 });
    // One more that found the product moved already has measured nothing.
    const nothing = { holdSeconds: 0, switchSeconds: 0 };
    await recordedCutover(join(home, "repository"), "shop", {}, "cutover", nothing);
    expect(await own()).toMatchObject({ "backup-sqlite": 0, freeze: 0.0421, switch: 1.5 });
    const { text } = await json("runbook", "cutover");
    expect(text).toContain("0.04 s");
    expect(text).toMatch(/^writers held +0\.02 s$/m);
    expect(text).toMatch(/^writes refused +1\.50 s$/m);
  });

  test("wants both databases, and one SQLite database", async () => {
    await place.write("one.json", {
      app: "shop",
      repository: { type: "filesystem", path: "repository" },
      sqlite: { path: "app.db" },
    });
    const ran = await place.run(["runbook", "cutover", "--config", "one.json", "--json"]);
    expect(ran.status).toBe(2);
    expect(errorOf(ran).message).toContain("no postgres");
    const unknown = await place.run(["runbook", "dance", "--config", "one.json", "--json"]);
    expect(unknown.status).toBe(2);
    expect(errorOf(unknown).remedy).toContain("cutover, restore, drill");
  });
});

describe.each(["cutover", "restore", "drill"])(
  "no name does harm in the runbook of a %s",
  (name) => {
    test("as Markdown, read by a parser of its own", async () => {
      const { text } = await json("runbook", name);
      const tokens = tokensOf(text);
      expect(tokens.filter(({ type }) => ["html", "link", "image"].includes(type))).toEqual([]);
      const headings = tokens.filter(({ type }) => type === "heading").map(({ raw }) => raw);
      expect(headings.filter((heading) => heading.includes("drawn"))).toEqual([]);
      const page = await marked.parse(text);
      assertHarmless(page);
      // Cut off at a mark, a name would be another name.
      if (name === "drill") expect(page).toContain("| [a](b) &#39;&quot;\\x0a# drawn\\x0a```");
    });

    test("as a page, which also needs nothing from elsewhere", async () => {
      const { text } = await json("runbook", name, "--format", "html");
      expect(text).toContain("default-src 'none'");
      assertHarmless(text);
      const markdown = (await json("runbook", name)).text;
      expect(commandsInPage(text)).toEqual([...commandsIn(markdown).values()].flat());
    });

    test("and no password stands in it", async () => {
      for (const format of ["md", "html"]) {
        const ran = await place.run(["runbook", name, "--format", format], {}, HOSTILE);
        expect(ran.status).toBe(0);
        for (const password of PASSWORDS) expect(ran.stdout).not.toContain(password);
      }
    });
  },
);

test("no shell ran what a name held", async () => {
  const found = await Promise.all(["/", place.path, home].map((folder) => readdir(folder)));
  expect(found.flat()).not.toContain("pwned");
});

const TAG =
  /^<(!doctype html|\/?(html|head|meta|title|style|body|main|h[1-6]|p|strong|pre|code|blockquote|ul|ol|li|table|thead|tbody|tr|th|td))( (lang|class|charset|http-equiv|content|name|start)="[^"<>]*")*>$/;

/** Nothing but elements that hold text, none of which can load or run anything. */
function assertHarmless(html: string): void {
  const tags = html.match(/<[^>]*>/g) ?? [];
  expect(tags.length).toBeGreaterThan(50);
  expect(tags.filter((tag) => !TAG.test(tag))).toEqual([]);
}

async function drills() {
  const folder = join(home, "repository/shop/drills");
  const names = (await readdir(folder)).toSorted();
  return Promise.all(
    names.map(async (name) => JSON.parse(await readFile(join(folder, name), "utf8"))),
  );
}
