import { randomBytes } from "node:crypto";

/**
 * The name of an object of the log, as listed: `<lineage>/<first>-<last>.<instant>.wal`, or
 * `….pages.wal` (.github/decisions/0012-the-log-of-sqlite.md).
 */
export interface LogName {
  readonly lineage: string;
  /** Sequence numbers, from 1; the ends of the span where others were merged into it. */
  readonly first: number;
  readonly last: number;
  /** Of its last commit, in ms since 1970. */
  readonly instant: number;
  /** `frames`: all of them; `pages`: only each page's newest version. */
  readonly kind: "frames" | "pages";
}

const LINEAGE = /^\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{8}$/;
const NAME =
  /^(\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{8})\/(\d{10})-(\d{10})\.(\d{8}T\d{6}\.\d{3}Z)(\.pages)?\.wal$/;

/** A new lineage's id, by the instant at which it begins. */
export function newLineage(at: Date): string {
  return `${compactInstant(at.getTime())}-${randomBytes(4).toString("hex")}`;
}

export function isLineage(text: string): boolean {
  return LINEAGE.test(text);
}

export function formatLogName({ lineage, first, last, instant, kind }: LogName): string {
  const span = [first, last].map((number) => String(number).padStart(10, "0")).join("-");
  return `${lineage}/${span}.${compactInstant(instant)}${kind === "pages" ? ".pages" : ""}.wal`;
}

/** Undefined for what is no name of a SQLite log's object. */
export function parseLogName(name: string): LogName | undefined {
  const match = NAME.exec(name);
  if (!match) return undefined;
  const [, lineage, first, last, at, pages] = match;
  const instant = Date.parse(plainInstant(at as string));
  const found: LogName = {
    lineage: lineage as string,
    first: Number(first),
    last: Number(last),
    instant,
    kind: pages === undefined ? "frames" : "pages",
  };
  const whole = found.first >= 1 && found.last >= found.first && !Number.isNaN(instant);
  // Of several spellings of one instant only ours is a name.
  return whole && formatLogName(found) === name ? found : undefined;
}

/** `20261122T101501.140Z`: sorts by time, and is no trouble in a path. */
function compactInstant(instant: number): string {
  return new Date(instant).toISOString().replaceAll(/[-:]/g, "");
}

function plainInstant(compact: string): string {
  return compact.replace(/^(....)(..)(..)T(..)(..)(.*)$/, "$1-$2-$3T$4:$5:$6");
}
