import { expect, test } from "vitest";
import { FileSizes } from "../src/basebackup/file-sizes.ts";

test("a file is known once, taken once, and left over until then", () => {
  const sizes = new FileSizes();
  expect(sizes.add("base/1/1259", 8192)).toBe(true);
  expect(sizes.add("base/1/1259", 8192)).toBe(false);
  expect(sizes.add("base/1/empty", 0)).toBe(true);
  expect([...sizes.left()]).toEqual(["base/1/1259", "base/1/empty"]);
  expect(sizes.take("base/1/empty")).toBe(0);
  expect(sizes.take("base/1/empty")).toBeUndefined();
  expect(sizes.take("base/1/9999")).toBeUndefined();
  expect([...sizes.left()]).toEqual(["base/1/1259"]);
  expect(sizes.take("base/1/1259")).toBe(8192);
  expect([...sizes.left()]).toEqual([]);
});

test("sizes past four gibibytes, and names of any bytes, are kept as they are", () => {
  const sizes = new FileSizes();
  const strange = Buffer.from([0xff, 0x2f, 0x0a, 0x22]).toString("latin1");
  sizes.add(strange, 2 ** 45);
  expect([...sizes.left()]).toEqual([strange]);
  expect(sizes.take(strange)).toBe(2 ** 45);
});

test("half a million names as servers give them are told apart", () => {
  const sizes = new FileSizes();
  const name = (n: number) =>
    `base/${5 + (n % 7)}/${16384 + Math.trunc(n / 7)}${["", "_fsm", "_vm"][n % 3]}`;
  const count = 500_000;
  let twice = 0;
  for (let n = 0; n < count; n++) if (!sizes.add(name(n), n)) twice++;
  expect(twice).toBe(0);
  let wrong = 0;
  for (let n = 1; n < count; n++) if (sizes.take(name(n)) !== n) wrong++;
  expect(wrong).toBe(0);
  expect([...sizes.left()]).toEqual([name(0)]);
});
