import { expect, test } from "vitest";
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
