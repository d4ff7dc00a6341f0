import { expect, test } from "vitest";
import { inOrder } from "../src/stream/in-order.ts";

test("no more tasks run at once than are allowed, and their results come in the order in which they were given", async () => {
  let running = 0;
  let most = 0;
  const tasks = async function* () {
    for (let index = 0; index < 12; index++)
      yield async () => {
        running += 1;
        most = Math.max(most, running);
        // The later ones are done first.
        for (let turn = 0; turn < 30 - 2 * index; turn++) await Promise.resolve();
        running -= 1;
        return index;
      };
  };
  expect(await Array.fromAsync(inOrder(tasks(), 3))).toEqual([...Array(12).keys()]);
  expect(most).toBe(3);
});

test("a task that fails is told in its turn, behind what came before it", async () => {
  const tasks = async function* () {
    // The failure comes while this one is still waited for.
    yield async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return "first";
    };
    yield async () => {
      throw new Error("the second failed");
    };
    yield async () => "third";
  };
  const came: string[] = [];
  const all = async () => {
    for await (const each of inOrder(tasks(), 3)) came.push(each);
  };
  await expect(all()).rejects.toThrow("the second failed");
  expect(came).toEqual(["first"]);
});
