import { type Finding, LifeboatError } from "@lifeboat/core";
import type { LeftInSqlite, MigrationStatus, WayBackRequest } from "@lifeboat/migrate";
import type { Session } from "./session.ts";
import { size } from "./show/units.ts";

/** So many entries of SQLite's log are some 50 MiB of its file. */
const MANY_ENTRIES = 1_000_000;
const MANY_BYTES = 256 * 1024 * 1024;

/**
 * What a migration has left that nobody may have noticed: a cutover that was broken off, and changes that are kept and that nobody
 * brings to the other side.
 */
export async function migrationAlerts(session: Session): Promise<Finding[]> {
  if (session.isByRepository) return [];
  const { sqlite, postgres, migrate } = await session.configuration();
  const [source, another] = sqlite;
  if (!postgres || !source || another) return [];
  if ((await session.live()) === "postgres") {
    const { signal } = session;
    const schema = migrate.schema && { schema: migrate.schema };
    const both = { sqlite: { path: source.path }, postgres: { url: postgres.url }, ...schema };
    // At once: of a server that does not answer both wait as long.
    return (
      await Promise.all([wayBack({ ...both, signal }), waitingInPostgres(postgres, signal)])
    ).flat();
  }
  const { leftInSqlite } = await import("@lifeboat/migrate");
  let left: LeftInSqlite | null;
  try {
    left = leftInSqlite(source.path);
  } catch (thrown) {
    if (thrown instanceof LifeboatError) return [unreadable(thrown)];
    throw thrown;
  }
  if (left === null) return [];
  return [...(await brokenOff(session, left)), ...waitingInSqlite(left)];
}

/** The rest of the status is wanted most where the file is damaged. */
function unreadable({ message, remedy }: LifeboatError): Finding {
  return { id: "sqlite-unreadable", severity: "error", summary: message, remedy };
}

/** Nobody would notice until the night on which somebody must go back. */
async function wayBack(request: WayBackRequest): Promise<Finding[]> {
  const { wayBackFault, wayBackLost } = await import("@lifeboat/migrate");
  try {
    const fault = await wayBackFault(request);
    return fault === null ? [] : [wayBackLost(fault)];
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError)) throw thrown;
    return OUT_OF_REACH.has(thrown.code) ? [] : [notKnown(thrown)];
  }
}

/** Which is an alert of its engine's own. */
const OUT_OF_REACH = new Set(["POSTGRES_UNREACHABLE", "POSTGRES_LOST"]);

/** A role that only takes backups has no right on what the migration made. */
function notKnown({ code, message, remedy }: LifeboatError): Finding {
  const grants =
    "grant usage on schema lifeboat to ROLE; grant select on all tables in schema lifeboat to ROLE; or ask lifeboat migrate status with the role of the migration";
  return {
    id: "way-back-unknown",
    severity: "warning",
    summary: `whether there is a way back to SQLite is not known: ${message}`,
    remedy: code === "TARGET_DENIED" ? grants : remedy,
  };
}

async function waitingInPostgres(
  { url }: { readonly url: string },
  signal: AbortSignal,
): Promise<Finding[]> {
  const { keptForTheWayBack } = await import("@lifeboat/migrate");
  const bytes = await orUnknown(keptForTheWayBack({ url }, signal));
  if (bytes === null || bytes < MANY_BYTES) return [];
  return [
    {
      id: "changes-wait",
      severity: "warning",
      summary: `Postgres keeps ${size(bytes)} of changes for the way back to SQLite, and they grow until somebody brings them there`,
      remedy:
        "run lifeboat migrate sync, or keep lifeboat watch running, which does; lifeboat migrate finish ends the way back",
    },
  ];
}

function waitingInSqlite({ logged }: LeftInSqlite): Finding[] {
  if (logged < MANY_ENTRIES) return [];
  return [
    {
      id: "changes-wait",
      severity: "warning",
      summary: `SQLite has logged ${logged} writes that are not in Postgres, and its file grows until a load or a sync has brought them`,
      remedy:
        "run lifeboat migrate sync; lifeboat migrate abort ends a migration that was given up",
    },
  ];
}

/** Postgres is asked only where SQLite says that there is something. */
async function brokenOff(session: Session, { refusal }: LeftInSqlite): Promise<Finding[]> {
  // A deadline that has not come may be that of a cutover at work, and ends by itself.
  if (refusal === null || (refusal.until !== null && !refusal.isOver)) return [];
  const { migrationStatus } = await import("@lifeboat/migrate");
  const { sqlite, postgres, migrate } = await session.configuration();
  const status = await orUnknown(
    migrationStatus({
      sqlite: { path: sqlite[0]?.path ?? "" },
      postgres: { url: postgres?.url ?? "" },
      ...(migrate.schema && { schema: migrate.schema }),
      signal: session.signal,
    }),
  );
  if (status?.isRunning) return [];
  return [refusal.isOver ? BEFORE_THE_SWITCH : alertOf(status)];
}

/** Null where Postgres can't be asked. */
async function orUnknown<Answer>(asked: Promise<Answer>): Promise<Answer | null> {
  try {
    return await asked;
  } catch (thrown) {
    if (thrown instanceof LifeboatError) return null;
    throw thrown;
  }
}

const BEFORE_THE_SWITCH: Finding = {
  id: "cutover-broken-off",
  severity: "warning",
  summary:
    "a cutover was broken off before it switched the product; SQLite takes its writes again by itself, and nothing is lost",
  remedy: "run lifeboat migrate cutover again, or lifeboat migrate abort",
};

function alertOf(status: MigrationStatus | null): Finding {
  const id = "cutover-broken-off";
  if (status?.phase === "cut-over")
    return {
      id,
      severity: "error",
      summary:
        "the product was cut over to Postgres, and the repository holds no record of it: SQLite is still taken for live",
      remedy: "run lifeboat migrate cutover again: it changes nothing and writes the record",
    };
  return {
    id,
    severity: "error",
    summary:
      "SQLite REFUSES the product's writes and no cutover is at work: one was broken off while it switched the product",
    remedy:
      "run lifeboat migrate cutover again, which ends it; lifeboat migrate status says where it stands",
  };
}
