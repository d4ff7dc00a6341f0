/** A verb of the contract that this version knows by name only, and refuses. */
export interface NotBuiltVerb {
  readonly name: string;
  readonly summary: string;
}

export const NOT_BUILT: readonly NotBuiltVerb[] = [
  { name: "prune", summary: "remove what retention no longer keeps" },
  { name: "hold", summary: "keep a backup from being pruned" },
  { name: "plan", summary: "recommend a schedule for a recovery time and a recovery point" },
  { name: "migrate sync", summary: "follow live writes of SQLite" },
  { name: "migrate cutover", summary: "switch the product to Postgres" },
  { name: "migrate abort", summary: "give the migration up before the cutover" },
  { name: "migrate status", summary: "show where the migration stands" },
  { name: "runbook", summary: "render the runbook of a cutover, a restore or a drill" },
  { name: "report", summary: "write one self-contained page" },
  { name: "metrics", summary: "print OpenMetrics text" },
];
