import { expect, it } from "vitest";
import { type SettleInput, settleAll } from "../src/compare/settle.ts";

/** What never settles, while a sync brings more each time that it is looked. */
function endless(patience: SettleInput["patience"], signal: AbortSignal) {
  let looks = 0;
  let brought = 0n;
  const settle = async () => {
    if (++looks > 3) throw new Error("it looks on and on");
    return false;
  };
  const watermark = { seen: () => 0n, newest: async () => ++brought };
  const settled = settleAll({
    unsettled: [{ settle }],
    watermark,
    patience,
    report: () => undefined,
    signal,
  });
  return settled.then(() => looks);
}

it("looks no more at rows in flight once its time is over, though a sync brings more", async () => {
  const { signal } = new AbortController();
  expect(await endless({ total: 0, idle: 1_000 }, signal)).toBe(1);
  await expect(endless({ total: 60_000, idle: 1_000 }, signal)).rejects.toThrow("on and on");
});

it("waits for a sync no longer than it is wanted", async () => {
  const watermark = { seen: () => 0n, newest: async () => 0n };
  const settled = settleAll({
    unsettled: [{ settle: async () => false }],
    watermark,
    patience: { total: 60_000, idle: 60_000 },
    report: () => undefined,
    signal: AbortSignal.abort(new Error("stopped")),
  });
  await expect(settled).rejects.toMatchObject({ name: "AbortError" });
});
