import { lifeboat } from "../lifeboat.ts";
import type { MovedProduct } from "../moved-product.ts";
import { duration, heading, line } from "../narration.ts";
import type { DrillReport } from "../report.ts";
import type { Show } from "../show.ts";
import type { Mistake } from "./drop-table.ts";

/** A drill: the same in earnest, with a clock running. */
export async function rehearse(
  show: Show,
  { product }: MovedProduct,
  mistake: Mistake,
): Promise<void> {
  heading("A drill, so that the next time is no surprise");
  const words = ["drill", "--engine", "postgres", "--at", mistake.instantBefore];
  const drill = await lifeboat<DrillReport>(show, product, words);
  for (const { name, ok } of drill.checks) line(`${ok ? "ok " : "NOT"} ${name}`);
  if (!drill.ok) throw new Error("the drill found something wrong");
  const { fetch, restore, replay, checks, total } = drill.seconds;
  line(
    `measured recovery time ${duration(total)}: fetch ${duration(fetch)}, restore ${duration(restore)}, ` +
      `replay ${duration(replay)}, checks ${duration(checks)}`,
  );
}
