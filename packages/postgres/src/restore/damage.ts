import type { Finding, Manifest } from "@lifeboat/core";
import type pg from "pg";
import type { CorruptPage } from "../basebackup/corrupt-page.ts";
import { postgresDetails } from "../details.ts";

/** A manifest names no more of them. */
const MOST_NAMED = 1000;
const MOST_SHOWN = 5;

/** OID of `pg_global`, the tablespace of what all databases share. */
const GLOBAL = 1664;
/** 0 means the database's own tablespace. */
const RELATION_QUERY = `
  select datname as database,
    case when $1 = 0 or datname = current_database()
      then pg_filenode_relation($2::oid, $3::oid)::text end as relation
  from pg_database where oid = $1 or ($1 = 0 and datname = current_database())`;

/**
 * Damaged pages in words that an engineer can act on: `table (file base/5/16405, block 1)`. The name of a
 * relation is known only in the database that we are connected to.
 */
export async function damageOf(
  client: pg.Client,
  pages: readonly CorruptPage[],
): Promise<string[]> {
  const damage: string[] = [];
  const names = new Map<string, string>();
  for (const { path, block } of pages.slice(0, MOST_NAMED)) {
    const name = names.get(path) ?? (await nameOf(client, path));
    names.set(path, name);
    damage.push(`${name}, block ${block} of file ${path}`);
  }
  const more = pages.length - damage.length;
  if (more > 0) damage.push(`and ${more} pages more`);
  return damage;
}

async function nameOf(client: pg.Client, path: string): Promise<string> {
  const place = placeOf(path);
  if (!place) return "somewhere in the cluster";
  const { database, tablespace, file } = place;
  const { rows } = await client.query<{ database: string; relation: string | null }>(
    RELATION_QUERY,
    [database, tablespace, file],
  );
  const [found] = rows;
  if (found?.relation) return `${found.relation} in database ${found.database}`;
  return found ? `a relation of database ${found.database}` : "a relation";
}

function placeOf(path: string) {
  const own = /^base\/(\d+)\/(\d+)/.exec(path);
  if (own) return { database: Number(own[1]), tablespace: 0, file: Number(own[2]) };
  const far = /^pg_tblspc\/(\d+)\/[^/]+\/(\d+)\/(\d+)/.exec(path);
  if (far) return { database: Number(far[2]), tablespace: Number(far[1]), file: Number(far[3]) };
  const shared = /^global\/(\d+)/.exec(path);
  return shared ? { database: 0, tablespace: GLOBAL, file: Number(shared[1]) } : undefined;
}

/** Said when a backup was taken that holds damaged pages, and again whenever it is restored. */
export function damageFindings(damage: readonly string[] | undefined): Finding[] {
  if (!damage || damage.length === 0) return [];
  const more = damage.length > MOST_SHOWN ? `; and ${damage.length - MOST_SHOWN} more` : "";
  return [
    {
      id: "pages-damaged",
      severity: "error",
      summary: `pages were damaged in the cluster, and are so in this backup: ${damage.slice(0, MOST_SHOWN).join("; ")}${more}`,
      remedy:
        "keep the backups from before the damage (lifeboat list), restore what is named from one of them, and have the server's disk examined; pg_amcheck shows what is readable",
    },
  ];
}

/** The same as a failed check of a drill: what the copy holds is not what the product wrote. */
export function damageProof(manifest: Manifest): { name: string; ok: boolean; message: string }[] {
  const { damage = [] } = postgresDetails(manifest);
  if (damage.length === 0) return [];
  return [{ name: "pages when they were backed up", ok: false, message: damage.join("; ") }];
}
