/** A verb of the contract that this version knows by name only, and refuses. */
export interface NotBuiltVerb {
  readonly name: string;
  readonly summary: string;
}

export const NOT_BUILT: readonly NotBuiltVerb[] = [
  { name: "watch", summary: "ship the log of the live database, and run what the schedule says" },
  { name: "wal receive", summary: "stream WAL through a replication slot until stopped" },
  { name: "standby", summary: "make a data directory that starts as a streaming standby" },
  { name: "export", summary: "take a logical dump into the catalog" },
  { name: "import", summary: "load a logical dump" },
  { name: "slots", summary: "show replication slots, each with what it retains and a verdict" },
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
