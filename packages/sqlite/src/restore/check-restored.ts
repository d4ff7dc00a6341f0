import { type Finding, LifeboatError } from "@lifeboat/core";
import { connect, isSqliteError, pragmaNumber, withFileMapped } from "../driver.ts";
import { type Integrity, integrityOf } from "../examine/integrity.ts";
import { migrationFinding } from "./copy-of-a-migration.ts";

/** What a restored copy has to be. */
export interface Expected {
  /** Where it will lie. */
  readonly path: string;
  readonly fileName: string;
  readonly pageSize: number;
  readonly pageCount: number;
  /** Whether all of it is looked through, too. */
  readonly whole: boolean;
}

/** What a copy was made of: a backup, and of its log all up to an instant (ISO 8601 UTC) where any was laid over it. */
export interface MadeOf {
  readonly backup: string;
  readonly logUpTo: string | null;
}

/**
 * Checks a restored copy before it gets its name: page size and count as they were, and SQLite's
 * `integrity_check`, unless that was to be left out. Its digests were checked already: what is found here was wrong in the source, or in
 * what was read of its WAL.
 * @param copy in a folder of its own, since reading a WAL-mode database makes files beside it
 * @throws LifeboatError `RESTORED_COPY_DAMAGED`
 */
export function checkRestored(
  copy: string,
  expected: Expected,
  madeOf: MadeOf,
): readonly Finding[] {
  const connection = connect(copy, { readonly: true });
  try {
    for (const [pragma, wanted] of [
      ["page_size", expected.pageSize],
      ["page_count", expected.pageCount],
    ] as const) {
      const found = pragmaNumber(connection, pragma);
      if (found !== wanted) throw damaged(madeOf, `${pragma} is ${found} instead of ${wanted}`);
    }
    if (!expected.whole) return asFarAsReadable(() => migrationFinding(connection, expected.path));
    const integrity = withFileMapped(connection, () => integrityOf(connection, "integrity_check"));
    const [first] = integrity.damage;
    if (first !== undefined) throw damaged(madeOf, first);
    return [
      ...findingsOf(expected.fileName, integrity),
      ...migrationFinding(connection, expected.path),
    ];
  } finally {
    connection.close();
  }
}

/** Whoever leaves the check out takes a damaged database as it is. */
function asFarAsReadable(read: () => readonly Finding[]): readonly Finding[] {
  try {
    return read();
  } catch (thrown) {
    if (isSqliteError(thrown)) return [];
    throw thrown;
  }
}

function findingsOf(fileName: string, { violations, unchecked }: Integrity): Finding[] {
  const findings: Finding[] = [];
  if (violations.length > 0)
    findings.push({
      id: "sqlite-rows-against-schema",
      severity: "warning",
      summary: `${fileName} holds rows that its schema forbids, as its source did: ${violations[0]}`,
      remedy: "the copy is whole; correct the rows with the app",
    });
  if (unchecked.length > 0)
    findings.push({
      id: "sqlite-tables-unchecked",
      severity: "warning",
      summary: `${fileName} has tables that only the app can read: ${unchecked.join("; ")}`,
      remedy: "the copy has the bytes of its source; let the app check these tables",
    });
  return findings;
}

function damaged({ backup, logUpTo }: MadeOf, what: string): LifeboatError {
  const byHand =
    "to save what can be read, unpack the objects by hand as RESTORE.md says and use sqlite3's .recover";
  if (logUpTo !== null)
    return new LifeboatError({
      code: "RESTORED_COPY_DAMAGED",
      message: `the database of ${logUpTo}, to which backup ${backup} and its log lead, is damaged: ${what}`,
      remedy: `restore that backup alone (--backup ${backup}) or another instant (lifeboat list), and check the source: lifeboat backup --check; ${byHand}`,
      details: { backup, time: logUpTo },
    });
  return new LifeboatError({
    code: "RESTORED_COPY_DAMAGED",
    message: `the database in backup ${backup} was damaged before it was backed up: ${what}`,
    remedy: `restore an older backup (lifeboat list); ${byHand}`,
    details: { backup },
  });
}
