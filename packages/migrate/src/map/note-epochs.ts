import type { ColumnProfile } from "../column-profile.ts";
import { finding } from "../finding.ts";
import type { SqliteColumn, SqliteTable } from "../sqlite/schema.ts";
import type { MapContext } from "./context.ts";

/** Seconds since 1970. Digits of a calendar (202401020304) lie outside these years, as seconds and as milliseconds. */
const YEAR_2000 = 946_684_800n;
const YEAR_2100 = 4_102_444_800n;

/**
 * Declared as instants and full of numbers, as Prisma stores them. What they count is a guess, and so the product's to say: until it does they
 * stay numbers, which its own Postgres driver will not take for instants.
 */
export function noteEpochs(
  context: MapContext,
  table: SqliteTable,
  { name, declaredType }: SqliteColumn,
  profile: ColumnProfile,
): void {
  if (!/DATETIME|TIMESTAMP/i.test(declaredType)) return;
  const codec = isRecent(profile, 1000n) ? "epoch-ms" : isRecent(profile, 1n) ? "epoch-s" : null;
  if (codec === null) return;
  const unit = codec === "epoch-ms" ? "milliseconds" : "seconds";
  context.add(
    finding({
      id: "numbers-of-instants",
      severity: "info",
      table: table.name,
      column: name,
      count: profile.integers,
      choices: [{ type: "timestamp with time zone", codec }],
      summary: `${table.name}.${name} is declared ${declaredType} and holds numbers that are instants of our time in ${unit}: they stay numbers unless the choice is taken`,
    }),
  );
}

function isRecent({ minInteger, maxInteger }: ColumnProfile, unit: bigint): boolean {
  return (minInteger ?? 0n) >= YEAR_2000 * unit && (maxInteger ?? 0n) < YEAR_2100 * unit;
}
