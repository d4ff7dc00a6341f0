import { expect, test } from "vitest";
import { namedPages } from "../src/basebackup/corrupt-page.ts";

test("a server's warnings name file and block, in whatever language", () => {
  expect(
    namedPages([
      'checksum verification failed in file "./base/5/16405.1", block 131: calculated 7D97 but expected 699',
      "Prüfsummenüberprüfung fehlgeschlagen in Datei »./pg_tblspc/16400/PG_18_202506291/5/16401«, Block 7: berechnet 9A3, aber erwartet F00D",
    ]),
  ).toEqual([
    { path: "base/5/16405.1", block: 131 },
    { path: "pg_tblspc/16400/PG_18_202506291/5/16401", block: 7 },
  ]);
});

test("where a server says of no page which it is, there is one all the same", () => {
  for (const warnings of [[], ["some pages are damaged"]])
    expect(namedPages(warnings)).toEqual([{ path: "base", block: 0 }]);
});

test("how many there are in a file is no page of another one", () => {
  const page =
    'checksum verification failed in file "./base/16384/1255", block 3: calculated 7D97 but expected 699';
  for (const file of [
    "base/16384/1255",
    "base/5/16405.1",
    "global/1260",
    "pg_tblspc/16400/PG_18_202506291/5/16401",
  ])
    expect(
      namedPages([page, `file "./${file}" has a total of 6 checksum verification failures`]),
    ).toEqual([{ path: "base/16384/1255", block: 3 }]);
});
