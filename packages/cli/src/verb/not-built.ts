/** A verb of the contract that this version knows by name only, and refuses. */
export interface NotBuiltVerb {
  readonly name: string;
  readonly summary: string;
}

export const NOT_BUILT: readonly NotBuiltVerb[] = [
  { name: "prune", summary: "remove what retention no longer keeps" },
  { name: "hold", summary: "keep a backup from being pruned" },
  { name: "plan", summary: "recommend a schedule for a recovery time and a recovery point" },
  { name: "report", summary: "write one self-contained page" },
  { name: "metrics", summary: "print OpenMetrics text" },
];
