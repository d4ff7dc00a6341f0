import type pg from "pg";

/** What `pg` knows of its connection and its types do not name. */
interface Backend {
  readonly processID: number | null;
}

/**
 * From here on a name without a schema means the server's own function, operator or view, whatever search_path the database or the role is set to.
 * The owner of a database sets its path, and whoever may create something in a schema on it could have us, who are often a superuser, run what
 * he likes under a name of pg_catalog (manual, "Schemas": Usage Patterns; CVE-2018-1058).
 *
 * Through a pooler, whose number is not the session's, nothing is set: that session may be the product's next, which would miss its tables.
 */
export async function useOwnNames(client: pg.Client): Promise<void> {
  const { processID } = client as pg.Client & Backend;
  await client.query(
    `select pg_catalog.set_config('search_path', 'pg_catalog', false)
     where pg_catalog.pg_backend_pid() operator(pg_catalog.=) $1::pg_catalog.int4`,
    [processID],
  );
}
