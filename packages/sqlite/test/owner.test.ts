import { expect, test } from "vitest";
import { idsFor } from "../src/owner.ts";

test("a restored file belongs to the account of its owner's name here, whatever number that has, else to the number", async () => {
  const numbers = { uid: 4711, gid: 4712 };
  const known = { ...numbers, user: "root", group: "daemon" };
  expect(await idsFor(known)).toEqual({ uid: 0, gid: 1 });
  const unknown = { ...numbers, user: "nobody-here-4711", group: null };
  expect(await idsFor(unknown)).toEqual(numbers);
});
