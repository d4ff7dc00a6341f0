import type { Session } from "@lifeboat/traffic";

/** Every row of a Postgres table, as one digest. */
export interface Fingerprint {
  readonly rows: number;
  readonly md5: string;
}

/** Reads the whole table, in the order of its `id`. */
export async function fingerprint(session: Session, table: string): Promise<Fingerprint> {
  const [row] = await session.all(
    `SELECT count(*) AS rows, md5(coalesce(string_agg(t::text, E'\\n' ORDER BY id), '')) AS md5 FROM ${table} AS t`,
  );
  return { rows: Number(row?.rows), md5: String(row?.md5) };
}
