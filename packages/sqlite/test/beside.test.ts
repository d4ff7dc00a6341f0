import { expect, test } from "vitest";
import { Beside } from "../src/watch/beside.ts";

test("work beside the polls is one at a time, and whoever waits for its end or looks later hears that it failed", async () => {
  const beside = new Beside();
  const { promise, resolve } = Promise.withResolvers<void>();
  beside.begin(promise);
  expect(beside.busy).toBe(true);
  beside.throwIfFailed();
  resolve();
  await beside.done();
  expect(beside.busy).toBe(false);
  beside.begin(Promise.reject(new Error("the storage fails")));
  await expect(beside.done()).rejects.toThrow("the storage fails");
  expect(beside.busy).toBe(false);
  expect(() => beside.throwIfFailed()).toThrow("the storage fails");
});
