import type { RestoredReport, RestoreReport } from "@lifeboat/core";
import { showRestore } from "../show/restore.ts";
import { duration } from "../show/units.ts";
import { type Block, output, paragraph, words } from "./document.ts";
import type { RunbookFacts } from "./facts.ts";
import { lastDrill } from "./measured.ts";

/** What `restore` prints, by the function that prints it, for the newest backups. */
export function expectedRestore(facts: RunbookFacts, paths: readonly string[]): Block[] {
  const databases = facts.newest.map((manifest, at) => copyOf(facts, manifest, paths[at] ?? ""));
  const [first] = databases;
  if (!first)
    return [
      paragraph(
        words("It ends with exit status 5, since there is no backup yet: take one with `backup`."),
      ),
    ];
  const report: RestoreReport = { ...first, databases, findings: [] };
  const text = showRestore({ ...report, start: null });
  const drill = lastDrill(facts, facts.engine);
  // What was never measured is not told as if it were.
  const shown = drill ? text : text.replaceAll(` in ${duration(0)}`, " in (not measured yet)");
  return [paragraph(words("It prints, with its own times and sizes:")), output(shown)];
}

function copyOf(
  facts: RunbookFacts,
  manifest: RunbookFacts["newest"][number],
  path: string,
): RestoredReport {
  const { engine, database, consistentAt, sourceBytes } = manifest;
  const { fetch = 0, restore = 0, replay = 0 } = lastDrill(facts, engine)?.seconds ?? {};
  const window = facts.list?.windows.findLast((one) => one.database === database);
  const time = window?.to ?? consistentAt;
  return {
    engine,
    database,
    backup: manifest.id,
    path,
    target: "latest",
    willRecoverTo: { time, lsn: null },
    recoveredTo: time,
    recoveredLsn: null,
    bytes: sourceBytes,
    seconds: fetch + restore + (engine === "postgres" ? replay : 0),
    extracted: null,
    delta: null,
    verified: null,
  };
}
