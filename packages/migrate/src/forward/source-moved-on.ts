import { LifeboatError } from "@lifeboat/core";
import type { LiveSource } from "../live-source.ts";
import type { MigrationPlan } from "../plan.ts";

export function schemaChanged({ source }: MigrationPlan): LifeboatError {
  return new LifeboatError({
    code: "SOURCE_CHANGED",
    kind: "refused",
    message: `the schema of ${source.file} was changed since its load`,
    remedy:
      "SQLite and what was loaded stay as they are; take the change back, or run lifeboat migrate abort and load anew",
    details: { file: source.file },
  });
}

export function replaced({ source }: MigrationPlan): LifeboatError {
  return new LifeboatError({
    code: "SQLITE_REPLACED",
    message: `Postgres holds changes that ${source.file} has not logged: the file is an older copy of itself`,
    remedy: "bring back the file that was loaded, or run lifeboat migrate abort and load anew",
    details: { file: source.file },
  });
}

/** SQLite has forgotten what Postgres had once said to hold. */
export function setBack({ source }: MigrationPlan): LifeboatError {
  return new LifeboatError({
    code: "POSTGRES_SET_BACK",
    message: `Postgres lacks changes of ${source.file} that it held already, and that are no longer in SQLite's log: it was restored to an earlier state, or failed over to a server that lacked its last commits`,
    remedy:
      "SQLite has everything and stays as it is: run lifeboat migrate abort --drop-loaded, and load anew",
    details: { file: source.file },
  });
}

/** @throws LifeboatError `SQLITE_REPLACED` where the path names another file by now */
export function assertInPlace({ isInPlace, path }: LiveSource): void {
  if (isInPlace) return;
  throw new LifeboatError({
    code: "SQLITE_REPLACED",
    message: `${path} is no longer the file that was opened: it was moved, or another one was put in its place`,
    remedy:
      "run this again: it goes on where the file is a copy of the same state, and says so where it is none",
    details: { path },
  });
}
