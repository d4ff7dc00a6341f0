import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { hasProgram } from "@lifeboat/postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { availableMajors, startCluster, type TestCluster } from "../support/postgres.ts";
import { fillAssortment, type Picture, pictureOf } from "../support/postgres-assortment.ts";
import { errorOf, Place } from "./command.ts";

/** Servers of each version that is here; dumps are taken from those that have pg_dump. */
const majors = await availableMajors();
let place: Place;
const clusters = new Map<number, TestCluster>();
const whole = new Map<number, Picture>();
const ids = new Map<number, string>();
const sources: number[] = [];

const cluster = (major: number) => clusters.get(major) as TestCluster;

function run(words: string[], { from = majors[0] as number, temporary = "" } = {}) {
  return place.run(words, {
    SHOP_URL: cluster(from).superuserUrl,
    ...(temporary && { TMPDIR: temporary }),
  });
}

let count = 0;
async function emptyDatabase(major: number, roles: readonly string[] = ['"odd owner"']) {
  const name = `target_${count++}`;
  await cluster(major).query(`create database ${name} template template0`, "postgres");
  for (const role of roles)
    await cluster(major).query(
      `do $$ begin create role ${role}; exception when duplicate_object then null; end $$`,
    );
  const url = new URL(cluster(major).superuserUrl);
  url.pathname = `/${name}`;
  return { name, url: url.href, password: url.password };
}

beforeAll(async () => {
  place = await Place.make();
  for (const major of majors) clusters.set(major, await startCluster({ major }));
  await place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    postgres: { url: { env: "SHOP_URL" } },
  });
  for (const major of majors)
    if (await hasProgram(cluster(major).programs, "pg_dump")) sources.push(major);
  for (const major of sources) {
    await fillAssortment(cluster(major));
    whole.set(major, await pictureOf(cluster(major).superuserUrl));
    const ran = await run(["export", "--json"], { from: major });
    expect(ran).toMatchObject({ status: 0 });
    ids.set(major, JSON.parse(ran.stdout).id);
  }
}, 300_000);

afterAll(async () => {
  for (const each of clusters.values()) await each.stop();
  await place?.[Symbol.asyncDispose]();
});

describe("an export comes back, row for row,", () => {
  test.each(
    majors.flatMap((from) => majors.filter((to) => to >= from).map((to) => [from, to] as const)),
  )("from %s into %s", async (from, to) => {
    const id = ids.get(from);
    if (!id) return;
    const target = await emptyDatabase(to);
    const ran = await run(["import", "--from", id, "--into", target.url, "--json"]);
    expect(ran.stderr + ran.stdout).not.toContain(target.password);
    expect(ran).toMatchObject({ status: 0 });
    const report = JSON.parse(ran.stdout);
    expect(report).toMatchObject({ from: id, tables: 6 });
    expect(report.into).toBe(`postgres://postgres@127.0.0.1:${cluster(to).port}/${target.name}`);
    expect(await pictureOf(target.url)).toEqual(whole.get(from));
  });
});
