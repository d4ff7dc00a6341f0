import type { RemovedStandby } from "@lifeboat/postgres";

/** What went, and what is left for somebody to remove. */
export function showRemovedStandby(
  { path, slot, slotLeft, kept }: RemovedStandby,
  { leaveSlot }: { readonly leaveSlot: boolean },
): string {
  const left = leaveSlot
    ? `is left on the primary, and keeps WAL there; when it is back: lifeboat slots --drop ${slotLeft}`
    : "is not on the server in postgres.url: where it is, it keeps WAL until it is dropped";
  const whose = leaveSlot
    ? "a tablespace: remove it, unless the primary has its own there"
    : "where the primary has a tablespace";
  return [
    `removed  ${path}\n`,
    slot === null ? "" : `dropped  replication slot ${slot}\n`,
    slotLeft === null ? "" : `slot     ${slotLeft} ${left}\n`,
    ...kept.map((place) => `kept     ${place}, ${whose}\n`),
  ].join("");
}
