import { reasonOf } from "@lifeboat/core";
import pg from "pg";

/** One thing that was tried on a restored copy. */
export interface Proof {
  readonly name: string;
  readonly ok: boolean;
  readonly message: string;
}

/**
 * Tables and filled materialized views: what has rows of its own. Temporary ones of other sessions
 * are of nobody's any more.
 */
const RELATIONS_QUERY = `
  select format('%I.%I', n.nspname, c.relname) as name, c.relkind as kind,
    pg_relation_size(c.oid) + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0) as bytes
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'm') and c.relispopulated and c.relpersistence <> 't'
  order by 1`;

const CHECKSUMS_QUERY = `
  select current_setting('data_checksums') as kept,
    (select coalesce(sum(checksum_failures), 0)::text from pg_stat_database) as failures`;

/**
 * Reads every row of every table to its last out-of-line value, in the server: COPY makes the text
 * of each value, as a dump would, and throws it away. Unlike `count(*)` that finds broken TOAST and
 * rows that cannot be taken apart.
 */
export async function proveDatabase(client: pg.Client, database: string): Promise<Proof> {
  const name = `tables of ${database}`;
  let tables = 0;
  let bytes = 0;
  const broken: string[] = [];
  try {
    const { rows } = await client.query<Relation>(RELATIONS_QUERY);
    for (const relation of rows) {
      const reason = await readAll(client, relation);
      if (reason !== undefined) broken.push(`${relation.name}: ${reason}`);
      tables++;
      bytes += Number(relation.bytes);
    }
  } catch (cause) {
    return { name, ok: false, message: reasonOf(cause) };
  }
  const read = `${tables} tables with ${bytes} bytes read`;
  const message = broken.length === 0 ? read : `${read}; ${broken.join("; ")}`;
  return { name, ok: broken.length === 0, message };
}

interface Relation {
  readonly name: string;
  readonly kind: "r" | "m";
  readonly bytes: string;
}

async function readAll(client: pg.Client, { name, kind }: Relation): Promise<string | undefined> {
  // COPY takes no materialized view by its name before version 18. As it is stored: a database in SQL_ASCII may hold what is no UTF-8.
  const source = kind === "r" ? name : `(select * from ${name})`;
  try {
    await client.query(`copy ${source} to '/dev/null' with (encoding 'SQL_ASCII')`);
    return undefined;
  } catch (cause) {
    // A lost connection would be found again at each table.
    if (!(cause instanceof pg.DatabaseError)) throw cause;
    return cause.message;
  }
}

/** Whether a page was read whose checksum did not fit. */
export async function provePages(client: pg.Client): Promise<Proof> {
  const name = "page checksums";
  const { rows } = await client.query<{ kept: string; failures: string }>(CHECKSUMS_QUERY);
  const [found] = rows;
  if (found?.kept !== "on")
    return { name, ok: true, message: "this cluster keeps none: damaged pages may pass unseen" };
  const ok = found.failures === "0";
  return { name, ok, message: ok ? "none failed" : `${found.failures} failed` };
}
