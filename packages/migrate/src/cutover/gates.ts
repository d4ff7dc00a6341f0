import { LifeboatError, type Report } from "@lifeboat/core";

/** What must be true before a product moves. */
export const GATES = ["lag", "verified", "archive", "drill", "disk"] as const;
/** Looked at only where the configuration says for whom. */
export const ASKED_GATES = ["rights"] as const;
/** Shown only where they are not met: where they are, the steps that follow show it. */
export const QUIET_GATES = ["backup"] as const;
export type GateName = (typeof GATES | typeof ASKED_GATES | typeof QUIET_GATES)[number];

/** A gate as it was found. */
export interface Gate {
  readonly name: GateName;
  readonly ok: boolean;
  /** Passed although it is not met, since whoever decides said so. */
  readonly skipped: boolean;
  /** What was found, in a few words. */
  readonly message: string;
  /** What to do where it is not met; empty where it is. */
  readonly remedy: string;
}

/** A gate that the caller looks at: it knows the repository and the machine. */
export type GateFinding = Pick<Gate, "ok" | "message" | "remedy">;

/** More changes than these take longer than a product may wait for. */
const MAX_WAITING = 2_000;
/** A verification that is older says little of what was changed by hand since. */
const VERIFIED_WITHIN_HOURS = 24;

/**
 * @param closest how many changes waited when Postgres came closest: how many do at any one instant is chance, where a product writes
 * thousands a second
 */
export function lagGate(closest: number): GateFinding {
  return {
    ok: closest <= MAX_WAITING,
    message: `Postgres came within ${closest} changes of SQLite`,
    remedy:
      "Postgres does not keep up with the product: look at what slows it, or cut over when less is written",
  };
}

/** @param verifiedAt when both sides were last found equal */
export function verifiedGate(verifiedAt: string | null, now: Date): GateFinding {
  const remedy = "run lifeboat migrate verify";
  if (verifiedAt === null)
    return { ok: false, message: "both sides were not found equal yet", remedy };
  const hours = (now.getTime() - Date.parse(verifiedAt)) / 3_600_000;
  return {
    ok: hours <= VERIFIED_WITHIN_HOURS,
    message: `both sides were found equal at ${verifiedAt}`,
    remedy: `that is more than ${VERIFIED_WITHIN_HOURS} hours ago: ${remedy}`,
  };
}

/** How the gates are looked at. */
export interface GateLook {
  readonly skip?: readonly GateName[];
  readonly report: Report;
  /** A look that waits for a server which does not answer is not waited for then. */
  readonly signal: AbortSignal;
}

type Looks = Partial<Record<GateName, () => Promise<GateFinding>>>;

/** The gates that the migration itself knows of, and the caller's. */
export function ownGates(
  { closest, verifiedAt }: { readonly closest: number; readonly verifiedAt: unknown },
  others: Looks = {},
): Looks {
  return {
    lag: async () => lagGate(closest),
    verified: async () =>
      verifiedGate(typeof verifiedAt === "string" ? verifiedAt : null, new Date()),
    ...others,
  };
}

/** Looks at each gate that somebody looks at, in their order. */
export async function lookAtGates(
  looks: Looks,
  { skip = [], report, signal }: GateLook,
): Promise<Gate[]> {
  const gates: Gate[] = [];
  for (const name of [...GATES, ...ASKED_GATES, ...QUIET_GATES]) {
    const look = looks[name];
    if (!look) continue;
    const found = await orAborted(look(), signal);
    if (found.ok && isQuiet(name)) continue;
    const skipped = !found.ok && skip.includes(name);
    gates.push({ ...found, name, skipped, remedy: found.ok ? "" : found.remedy });
    report({ note: `${name}: ${found.message}${skipped ? " (passed over)" : ""}` });
  }
  return gates;
}

function isQuiet(name: GateName): boolean {
  return QUIET_GATES.some((quiet) => quiet === name);
}

async function orAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    signal.throwIfAborted();
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** @throws LifeboatError `GATE_NOT_MET` (refused) that names each, and shows all of them in its details */
export function assertGates(gates: readonly Gate[]): void {
  const closed = gates.filter((gate) => !gate.ok && !gate.skipped);
  if (closed.length === 0) return;
  throw new LifeboatError({
    code: "GATE_NOT_MET",
    kind: "refused",
    message: closed.map(({ name, message }) => `gate ${name}: ${message}`).join("; "),
    remedy: `${closed.map(({ name, remedy }) => `${name}: ${remedy}`).join("; ")}. Whoever decides may pass by --skip NAME`,
    details: { gates },
  });
}
