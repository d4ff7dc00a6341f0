import { expect, test } from "vitest";
import { Hole } from "../src/watch/hole.ts";
import { ReadingToEnd } from "../src/watch/reading-to-end.ts";

test("a look that was not told what is committed proves nothing, and takes nothing back", () => {
  const reading = new ReadingToEnd();
  reading.looked({ at: 1000, logged: -1, read: 0 });
  expect(reading).toMatchObject({ isWhole: false, wholeAt: undefined });
  reading.looked({ at: 2000, logged: 7, read: 7 });
  expect(reading).toMatchObject({ isWhole: true, wholeAt: 2000 });
  reading.looked({ at: 3000, logged: -1, read: 7 });
  expect(reading).toMatchObject({ isWhole: false, wholeAt: 2000 });
  reading.looked({ at: 4000, logged: 9, read: 7 });
  expect(reading).toMatchObject({ isWhole: false, wholeAt: undefined });
  // Of a WAL that was begun anew nothing is committed yet, however much was read of the one before.
  reading.looked({ at: 5000, logged: 0, read: 7 });
  expect(reading).toMatchObject({ isWhole: true, wholeAt: 5000 });
});

test("what some looks do not find is found by a next one; what twenty do not find is lost", () => {
  const reading = new ReadingToEnd();
  const looks = (count: number, read: number) => {
    for (let at = 1; at <= count; at++) reading.looked({ at, logged: 9, read });
  };
  looks(20, 7);
  looks(1, 9);
  expect(reading).toMatchObject({ isWhole: true, wholeAt: 1 });
  looks(20, 7);
  expect(() => looks(1, 7)).toThrow(Hole);
});
