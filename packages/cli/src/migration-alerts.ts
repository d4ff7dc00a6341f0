import { type Finding, LifeboatError } from "@lifeboat/core";
import type { MigrationStatus } from "@lifeboat/migrate";
import type { Session } from "./session.ts";

/**
 * What a cutover has left that was broken off, and that nobody may have noticed but the product. Postgres is asked only where
 * SQLite says that there is something.
 */
export async function migrationAlerts(session: Session): Promise<Finding[]> {
  if (session.isByRepository) return [];
  const { sqlite, postgres, migrate } = await session.configuration();
  const [source, another] = sqlite;
  if (!postgres || !source || another || (await session.live()) !== "sqlite") return [];
  const { migrationStatus, sqliteRefusal } = await import("@lifeboat/migrate");
  const refusal = sqliteRefusal(source.path);
  // A deadline that has not come may be that of a cutover at work, and ends by itself.
  if (refusal === null || (refusal.until !== null && !refusal.isOver)) return [];
  const status = await orUnknown(
    migrationStatus({
      sqlite: source,
      postgres,
      ...(migrate.schema && { schema: migrate.schema }),
      signal: session.signal,
    }),
  );
  if (status?.isRunning) return [];
  return [refusal.isOver ? BEFORE_THE_SWITCH : alertOf(status)];
}

/** Null where Postgres can't be reached: what SQLite says is an alert all the same. */
async function orUnknown(status: Promise<MigrationStatus>): Promise<MigrationStatus | null> {
  try {
    return await status;
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
