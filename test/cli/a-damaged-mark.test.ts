import { readdir, readFile, rename, writeFile } from "node:fs/promises";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { showDrill } from "../../packages/cli/src/show/drill.ts";
import { errorOf, Place } from "./command.ts";

/** `lifeboat.json` is what everybody reads first, and the least of what a restore needs. */
const MARK = "shop/lifeboat.json";
const SAID = `${MARK} does not match its own SHA-256`;

let place: Place;

beforeAll(async () => {
  place = await Place.make();
  const database = new Database(place.at("app.db"));
  database.exec("create table orders (note text); insert into orders values ('first')");
  database.close();
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    sqlite: { path: "app.db" },
  });
  await place.run(["backup"]);
  const file = place.at("repository", MARK);
  await writeFile(file, (await readFile(file, "utf8")).replace('"shop"', '"ship"'));
});

afterAll(() => place[Symbol.asyncDispose]());

test.each([
  ["the configuration", []],
  ["the repository alone", ["--repository", "repository", "--app", "shop"]],
])(
  "a backup is restored all the same, by %s, and what is damaged is told",
  async (name, options) => {
    const to = `copy-by-${name.replaceAll(" ", "-")}`;
    const ran = await place.run(["restore", "--to", to, "--json", ...options]);
    expect(ran.status).toBe(0);
    const { path, findings } = JSON.parse(ran.stdout);
    expect(findings).toMatchObject([
      { id: "manifest-damaged", summary: expect.stringMatching(SAID) },
    ]);
    const copy = new Database(path, { readonly: true });
    expect(copy.prepare("select note from orders").pluck().all()).toEqual(["first"]);
    copy.close();
  },
);

test("list, status, doctor, verify and a drill go on, and each tells of it", async () => {
  const run = async (words: string[], status: number) => {
    const ran = await place.run([...words, "--json"]);
    expect(ran.status).toBe(status);
    return JSON.parse(ran.stdout);
  };
  const problem = { object: MARK, code: "MANIFEST_CORRUPT", message: SAID };
  expect(await run(["list"], 0)).toMatchObject({
    backups: [{ type: "full" }],
    problems: [problem],
  });
  expect(await run(["verify"], 1)).toMatchObject({ ok: false, problems: [problem] });
  const drilled = await run(["drill"], 0);
  expect(drilled).toMatchObject({ ok: true, findings: [{ id: "manifest-damaged" }] });
  expect(showDrill(drilled)).toContain(SAID);
  const told = { severity: "error", summary: expect.stringContaining(SAID) };
  expect((await run(["status", "--check"], 1)).alerts).toContainEqual(
    expect.objectContaining(told),
  );
  expect((await run(["doctor"], 1)).findings).toContainEqual(expect.objectContaining(told));
});

test("nothing is backed up beside it", async () => {
  const before = await readdir(place.at("repository/shop"), { recursive: true });
  const ran = await place.run(["backup", "--json"]);
  expect(ran.status).toBe(1);
  expect(errorOf(ran)).toMatchObject({ code: "MANIFEST_CORRUPT", message: SAID });
  expect(await readdir(place.at("repository/shop"), { recursive: true })).toEqual(before);
});

test("a mark that is lost keeps nobody from what lies beside it either, and the next backup from none that is made anew", async () => {
  const mark = place.at("repository", MARK);
  await rename(mark, place.at("aside"));
  const said = `${MARK} is missing`;
  const problem = { object: MARK, code: "OBJECT_MISSING", message: expect.stringContaining(said) };
  const alone = ["--repository", "repository", "--app", "shop"];
  for (const options of [[], alone]) {
    const listed = await place.run(["list", "--json", ...options]);
    expect(JSON.parse(listed.stdout)).toMatchObject({ backups: [{}], problems: [problem] });
  }
  expect((await place.run(["restore", "--to", "copy-without", ...alone])).status).toBe(0);
  const refused = await place.run(["backup", "--json"]);
  expect(refused.status).toBe(1);
  const { remedy, ...error } = errorOf(refused);
  expect(error).toMatchObject({ code: "OBJECT_MISSING", message: problem.message });
  const [remembered = ""] = /\S+\/repository-[0-9a-f]+\.json/.exec(remedy) ?? [];
  await rename(remembered, place.at("forgotten"));
  expect((await place.run(["backup"])).status).toBe(0);
  expect((await place.run(["verify"])).status).toBe(0);
});
