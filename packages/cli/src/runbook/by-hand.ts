import { type Manifest, RESTORE_GUIDE } from "@lifeboat/core";
import { type Block, code, heading, output, paragraph, say } from "./document.ts";
import type { RunbookFacts } from "./facts.ts";
import { factsTable } from "./preamble.ts";

/** How to restore where no Lifeboat can be had: the repository's own guide, with what its capital words stand for here. */
export function byHand(facts: RunbookFacts): Block[] {
  return [
    heading("Without Lifeboat"),
    paragraph(
      say`The repository is in plain formats. This is its own guide, ${code(`${facts.repository}/RESTORE.md`)}; on this installation its words in capitals stand for:`,
    ),
    factsTable([
      ["APP", [code(facts.app)]],
      ...facts.newest.flatMap((manifest) => valuesOf(facts, manifest)),
    ]),
    output(RESTORE_GUIDE),
  ];
}

function valuesOf({ repository }: RunbookFacts, manifest: Manifest) {
  const { engine, database, id, parent, app } = manifest;
  const folder = `${repository}/${app}/${engine}/${database}`;
  const { log } = manifest.details as { log?: { lineage?: unknown } | null };
  return [
    [engine === "sqlite" ? "NAME" : "SYSTEM", [code(database)]] as const,
    ["ID, the newest", [code(id), parent === null ? "" : ` (its parent: ${parent})`]] as const,
    ["its folder", [code(`${folder}/backups/${id}`)]] as const,
    ...(typeof log?.lineage === "string"
      ? [["LOG", [code(`${folder}/wal/${log.lineage}`)]] as const]
      : engine === "postgres"
        ? [["WAL", [code(`${folder}/wal`)]] as const]
        : []),
  ];
}
