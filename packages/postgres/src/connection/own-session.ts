import type pg from "pg";

/** What `pg` knows of its connection and its types do not name. */
interface Backend {
  readonly processID: number | null;
}

/** What ALTER DATABASE and ALTER ROLE set for the product, and we do not take over. */
const OWN: Readonly<Record<string, string>> = {
  // A name without a schema is the server's own: function, operator or view. The owner of a database sets its path, and whoever may create
  // something in a schema on it could have us, who are often a superuser, run what he likes (manual, "Schemas": Usage Patterns; CVE-2018-1058).
  search_path: "pg_catalog",
  // Values are spelled as we read them.
  datestyle: "ISO",
  intervalstyle: "postgres",
  bytea_output: "hex",
  extra_float_digits: "1",
  standard_conforming_strings: "on",
  quote_all_identifiers: "off",
  // A standby takes no statement with another.
  default_transaction_isolation: "read committed",
  // The end of a backup waits for its WAL, and the session in backup mode for all that is read meanwhile.
  statement_timeout: "0",
  lock_timeout: "0",
  transaction_timeout: "0",
  idle_session_timeout: "0",
  idle_in_transaction_session_timeout: "0",
};

/** Those that the server does not know yet are left out. Every name has its schema: until this has run the path is not ours. */
const TAKE = `
  select pg_catalog.set_config(name, value, false)
  from rows from (pg_catalog.unnest($2::pg_catalog.text[]), pg_catalog.unnest($3::pg_catalog.text[])) own(name, value)
  where pg_catalog.pg_backend_pid() operator(pg_catalog.=) $1::pg_catalog.int4
    and pg_catalog.current_setting(name, true) is not null`;

/**
 * Gives a session settings of our own, whatever the database or the role is set to.
 *
 * Through a pooler, whose number is not the session's, nothing is set: that session may be the product's next, which would miss its tables.
 */
export async function takeSession(client: pg.Client): Promise<void> {
  const { processID } = client as pg.Client & Backend;
  if (processID === null) return;
  await client.query(TAKE, [processID, Object.keys(OWN), Object.values(OWN)]);
}
