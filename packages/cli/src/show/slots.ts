import type { SlotState } from "@lifeboat/postgres";
import { table } from "./table.ts";
import { size } from "./units.ts";

/** Replication slots, each with what it holds back and what to think of it. */
export function showSlots(slots: readonly SlotState[]): string {
  if (slots.length === 0) return "there is no replication slot\n";
  const columns = [
    { title: "slot" },
    { title: "type" },
    { title: "owner" },
    { title: "retains", right: true },
    { title: "WAL" },
    { title: "verdict" },
  ];
  const rows = slots.map((slot) => [
    slot.name,
    slot.temporary ? `${slot.type}, temporary` : slot.type,
    slot.owner ?? "",
    size(slot.retainedBytes),
    slot.walStatus ?? "none",
    slot.inactiveSince === null || slot.synced
      ? slot.verdict
      : `${slot.verdict} since ${slot.inactiveSince}`,
  ]);
  return table(columns, rows);
}
