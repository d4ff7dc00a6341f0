import type { Status } from "@lifeboat/core";
import { size } from "./units.ts";

/** What the watch of a SQLite database says of itself, as far as people ask for it. */
interface Shipped {
  readonly walBytes: number;
  readonly gates: {
    readonly count: number;
    readonly p50: number;
    readonly p99: number;
    readonly worst: number;
  };
  readonly requests: Readonly<Record<string, number>>;
  readonly fallbacks: number;
  readonly holeCount: number;
}

/** How the log of each SQLite database is shipped, and what that costs its writers and the storage. */
export function showShipping({ shipping }: Status): (readonly [string, string])[] {
  const known = Object.entries(shipping ?? {}).flatMap(([name, found]) =>
    isShipped(found) ? [[name, found] as const] : [],
  );
  return known.flatMap(([name, found]) => {
    const of = known.length > 1 ? ` of ${name}` : "";
    return [
      [`WAL${of}`, walOf(found)],
      [`writers held${of}`, gatesOf(found)],
      [`requests${of}`, requestsOf(found)],
    ];
  });
}

function isShipped(found: unknown): found is Shipped {
  const { gates, requests } = (found ?? {}) as Partial<Shipped>;
  return typeof gates?.worst === "number" && typeof requests === "object";
}

function walOf({ walBytes, fallbacks, holeCount }: Shipped): string {
  const words = [size(walBytes)];
  if (fallbacks > 0) words.push(`backups by the backup API: ${fallbacks}`);
  if (holeCount > 0) words.push(`holes since the watch began: ${holeCount}`);
  return words.join(", ");
}

function gatesOf({ gates: { count, p50, p99, worst } }: Shipped): string {
  if (count === 0) return "never yet";
  return `half of ${count} times for up to ${p50} ms, 99 % for up to ${p99} ms, at worst ${worst} ms`;
}

function requestsOf({ requests }: Shipped): string {
  return Object.entries(requests)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(", ");
}
