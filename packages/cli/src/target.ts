import { microsecondsOf, parseInstant, type RecoveryTarget } from "@lifeboat/core/window";
import { usage } from "./usage.ts";
import type { VerbOption } from "./verb-option.ts";

export const AT_OPTION: VerbOption = {
  flags: "--at <time>",
  help: "up to this instant: 2026-11-22T10:15:00Z, or with an offset such as +01:00",
  parse: (text) => ({ at: parseInstant(text), micros: microsecondsOf(text) }),
};

export const DATABASE_OPTION: VerbOption = {
  flags: "--database <name>",
  help: "only this database, where the app has several",
};

/** The recovery targets of `restore`, of which one at most is given; none means the latest. */
export const TARGET_OPTIONS: readonly VerbOption[] = [
  AT_OPTION,
  { flags: "--backup <id>", help: "the state of this backup (its consistentAt)" },
  {
    flags: "--lsn <position>",
    help: "up to this WAL position, such as 0/3000148",
    parse: parseLsn,
  },
  { flags: "--xid <number>", help: "up to the commit of this transaction", parse: parseXid },
  { flags: "--restore-point <name>", help: "up to this named restore point" },
  { flags: "--immediate", help: "only until the copy is consistent" },
  { flags: "--exclusive", help: "stop just before the target (--at, --lsn, --xid)" },
];

/**
 * The recovery target that a command line names.
 * @throws LifeboatError `USAGE` when it names two, or `--exclusive` with one that has no before
 */
export function targetOf(options: Readonly<Record<string, unknown>>): RecoveryTarget {
  const exclusive = options.exclusive === true;
  const named = targetsNamed(options, exclusive);
  if (named.length > 1)
    throw usage(
      `${named.map(([flag]) => flag).join(" and ")} exclude each other`,
      "name one recovery target, or none for the latest state",
    );
  const [flag, target] = named[0] ?? ["no target", { kind: "latest" } as const];
  if (exclusive && !("exclusive" in target))
    throw usage(
      `--exclusive means nothing with ${flag}`,
      "use it with --at, --lsn or --xid, or leave it out",
    );
  return target;
}

function targetsNamed(
  { at, backup, lsn, xid, restorePoint, immediate }: Readonly<Record<string, unknown>>,
  exclusive: boolean,
): [flag: string, target: RecoveryTarget][] {
  const named: [string, RecoveryTarget][] = [];
  if (at !== undefined)
    named.push(["--at", { kind: "time", ...(at as { at: Date; micros: number }), exclusive }]);
  if (typeof backup === "string") named.push(["--backup", { kind: "backup", id: backup }]);
  if (typeof lsn === "string") named.push(["--lsn", { kind: "lsn", lsn, exclusive }]);
  if (typeof xid === "string") named.push(["--xid", { kind: "xid", xid, exclusive }]);
  if (typeof restorePoint === "string")
    named.push(["--restore-point", { kind: "restore-point", name: restorePoint }]);
  if (immediate === true) named.push(["--immediate", { kind: "immediate" }]);
  return named;
}

function parseLsn(text: string): string {
  if (/^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/.test(text)) return text;
  throw usage(`--lsn: "${text}" is no WAL position`, "write it as the server does: 0/3000148");
}

function parseXid(text: string): string {
  if (/^\d{1,20}$/.test(text)) return text;
  throw usage(`--xid: "${text}" is no transaction id`, "write it as a number");
}
