import { parseArgs } from "node:util";

export interface TrafficOptions {
  readonly target: { readonly database: string } | { readonly url: string };
  /** Transactions a second. */
  readonly rate: number;
  /** Null: until stopped. */
  readonly seconds: number | null;
  readonly seed: number;
}

export const USAGE =
  "usage: traffic --database PATH | --url URL  [--rate N] [--seconds S] [--seed N]";

/**
 * Reads a traffic program's arguments. A password does not belong into a URL on a command line,
 * where every account can read it: PGPASSWORD and ~/.pgpass are obeyed.
 * @throws Error with the usage when they make no sense
 */
export function trafficOptions(args: readonly string[]): TrafficOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      database: { type: "string" },
      url: { type: "string" },
      rate: { type: "string", default: "50" },
      seconds: { type: "string" },
      seed: { type: "string", default: "1" },
    },
  });
  if ((values.database === undefined) === (values.url === undefined)) throw new Error(USAGE);
  return {
    target:
      values.database === undefined ? { url: values.url ?? "" } : { database: values.database },
    rate: positive("--rate", values.rate),
    seconds: values.seconds === undefined ? null : positive("--seconds", values.seconds),
    seed: positive("--seed", values.seed),
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`${name} ${text} is not a number above zero\n${USAGE}`);
}
