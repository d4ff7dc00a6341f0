import type { LifeboatError } from "@lifeboat/core";
import { expect, test } from "vitest";
import { refusedRows } from "../src/load/copy-table.ts";
import type { PlannedTable } from "../src/plan.ts";

const columns = ["a", "price", "price tag"].map((target) => ({
  target,
  source: `${target} of it`,
}));
const table = { name: "goods 1", target: "goods, 1", columns } as unknown as PlannedTable;

test.each([
  ["COPY goods, 1, line 12, column price", "price of it"],
  ['COPY goods, 1, line 12, column price: "1, line 2, column a"', "price of it"],
  ["COPY goods, 1, Zeile 12, Spalte price tag", "price tag of it"],
  ["COPY goods, 1, Zeile 12, Spalte price: »x«", "price of it"],
  ["COPY goods, 1, ligne 12, colonne price : « x »", "price of it"],
  ["goods, 1のCOPY、行 12、列 price tag", "price tag of it"],
  ["COPY goods, 1, 第 12 行, 列 price", "price of it"],
  ["COPY goods, 1, Zeile 12", null],
])("a refused row's column is named from where the server says it was: %s", (where, column) => {
  const cause = Object.assign(new Error("…"), { code: "22P02", severity: "FEHLER", where });
  expect((refusedRows(table, cause) as LifeboatError).details.column).toBe(column);
});
