import Database from "better-sqlite3";
import { describe, expect, test } from "vitest";
import { createProduct, type Product, products } from "./products.ts";

/** What each product's database must hold, as a statement that is true of it. */
const CASES: Record<Product["name"], Readonly<Record<string, string>>> = {
  cronping: {
    "an address is unique whatever its case":
      "SELECT count(*) = 1 FROM users WHERE email = 'PERSON1@EXAMPLE.COM'",
    "AUTOINCREMENT is past the highest number":
      "SELECT seq > (SELECT max(id) FROM users) FROM sqlite_sequence WHERE name = 'users'",
    "'' and NULL side by side":
      "SELECT count(*) FILTER (WHERE ping_key = '') > 0 AND count(*) FILTER (WHERE ping_key IS NULL) > 0 FROM projects",
    "booleans are 0 and 1": "SELECT count(DISTINCT manual_resume) = 2 FROM monitors",
    "text local, text Z, epoch seconds and epoch milliseconds":
      "SELECT count(*) > 0 FROM monitors JOIN flips ON flips.monitor_id = monitors.id WHERE last_start GLOB '????-??-?? ??:??:??' AND last_ping GLOB '*T*.???Z' AND typeof(alert_after) = 'integer' AND flips.created_at > 1e12",
    "a real that needs 17 digits":
      "SELECT count(*) = 1 FROM monitors WHERE last_duration_ms = 0.1 + 0.2",
    infinity: "SELECT count(*) = 1 FROM monitors WHERE last_duration_ms = 9e999",
    "no number, which is NULL":
      "SELECT count(*) = 1 FROM monitors WHERE name = 'slow' AND last_duration_ms IS NULL",
    "booleans as 0, 1, 'true' and 't'": "SELECT count(DISTINCT disabled) = 4 FROM channels",
    "a row that breaks a foreign key":
      "SELECT count(*) = 1 FROM pragma_foreign_key_check WHERE \"table\" = 'notifications'",
    "the smallest real": "SELECT count(*) = 1 FROM monitors WHERE last_duration_ms = 5e-324",
    "text that COPY trips over": "SELECT count(*) = 1 FROM monitors WHERE name = '\\N'",
    "a VARCHAR(200) of 300": "SELECT count(*) = 1 FROM pings WHERE length(ua) = 300",
    "an empty BLOB and none":
      "SELECT count(*) FILTER (WHERE body = x'') > 0 AND count(*) FILTER (WHERE body IS NULL) > 0 FROM pings",
    "NUL and broken UTF-8 in a BLOB":
      "SELECT count(*) = 2 FROM pings WHERE body IN (x'61006200', x'fffec328')",
    "a partial index and a partial unique one":
      "SELECT count(*) = 2 FROM pragma_index_list('monitors') WHERE partial",
    "a table WITHOUT ROWID": "SELECT wr = 1 FROM pragma_table_list('monitor_channels')",
    "a foreign key that names no column": `SELECT count(*) = 1 FROM pragma_foreign_key_list('pings') WHERE "to" IS NULL`,
    "a view": "SELECT count(*) > 0 FROM monitors_late",
  },
  flagbit: {
    "an untyped column of numbers, names, '' and NULL":
      "SELECT group_concat(DISTINCT typeof(actor)) GLOB '*integer*' AND count(*) FILTER (WHERE actor = '') > 0 AND count(*) FILTER (WHERE typeof(actor) = 'text') > 0 AND count(*) FILTER (WHERE actor IS NULL) > 0 FROM audit_log",
    "JSON with a key twice": `SELECT count(*) = 1 FROM audit_log WHERE after = '{"b":1,"a":2,"b":3}'`,
    "JSON with an escaped NUL": "SELECT count(*) = 1 FROM audit_log WHERE after GLOB '*u0000*'",
    "a JSON column that made an integer of 7":
      "SELECT count(*) FILTER (WHERE typeof(default_value) = 'integer') > 0 AND count(*) FILTER (WHERE typeof(default_value) = 'text') > 0 FROM flag_states",
    "NUMERIC as integers and as reals":
      "SELECT count(DISTINCT typeof(rollout_pct)) = 2 FROM flag_states",
    "a STRICT table": "SELECT strict = 1 FROM pragma_table_list('environments')",
    "reserved and mixed-case names": `SELECT count(*) = 3 FROM pragma_table_info('environments') WHERE name IN ('key', 'default', 'sdkKeyHash')`,
    "a number that no double holds":
      "SELECT count(*) = 1 FROM organisations WHERE id = 9007199254740993",
    "AUTOINCREMENT is past the highest number":
      "SELECT seq > (SELECT max(id) FROM flags) FROM sqlite_sequence WHERE name = 'flags'",
    "a deferred foreign key of two columns":
      "SELECT count(*) = 2 FROM pragma_foreign_key_list('rules') WHERE \"table\" = 'flag_states'",
    "an index on an expression":
      "SELECT count(*) = 1 FROM pragma_index_info('flags_by_lower_key') WHERE name IS NULL",
    "a trigger": "SELECT count(*) = 1 FROM sqlite_schema WHERE type = 'trigger'",
    "a view that counts": "SELECT count(*) > 0 FROM live_flags",
    "defaults that call functions":
      "SELECT count(*) = 2 FROM sqlite_schema WHERE sql GLOB '*DEFAULT (datetime(*' OR sql GLOB '*DEFAULT (strftime(*'",
    "days as text in a key": "SELECT count(*) > 0 FROM evaluations_daily WHERE day = date(day)",
    "a rule that refers to a segment":
      "SELECT count(*) > 0 FROM rules WHERE segment_id IS NOT NULL",
  },
  webhookvault: {
    "NUL in a text":
      "SELECT count(*) = 1 FROM endpoints WHERE instr(CAST(response_body AS BLOB), x'00') > 0",
    "broken UTF-8 in a text":
      "SELECT count(*) = 1 FROM endpoints WHERE CAST(response_body AS BLOB) = x'c328' AND typeof(response_body) = 'text'",
    "2^53 + 1 and 2^63 - 1":
      "SELECT count(*) = 2 FROM usage WHERE bytes IN (9007199254740993, 9223372036854775807)",
    "seconds with a fraction":
      "SELECT count(*) = 4 FROM requests WHERE received_at = 1700000000.123",
    "JSON that is none": "SELECT count(*) = 1 FROM requests WHERE query = '{not json'",
    "'' and NULL side by side":
      "SELECT count(*) FILTER (WHERE query = '') > 0 AND count(*) FILTER (WHERE query IS NULL) > 0 FROM requests",
    "an empty BLOB and none":
      "SELECT count(*) FILTER (WHERE body = x'') > 0 AND count(*) FILTER (WHERE body IS NULL) > 0 FROM requests",
    "a table without a key": "SELECT count(*) = 0 FROM pragma_table_info('tags') WHERE pk > 0",
    "two rows that nothing tells apart": "SELECT count(*) = 2 FROM tags WHERE tag = 'twice'",
    "a full-text index that answers":
      "SELECT count(*) > 0 FROM requests_fts WHERE requests_fts MATCH 'hookshot'",
    triggers: "SELECT count(*) = 2 FROM sqlite_schema WHERE type = 'trigger'",
    "names over 63 bytes, the same up to there":
      "SELECT count(*) = 2 AND count(DISTINCT substr(name, 1, 63)) = 1 FROM pragma_table_info('forwards') WHERE length(name) > 63",
    "a descending index": "SELECT sum(desc) = 1 FROM pragma_index_xinfo('requests_newest')",
    "a default of random bytes": "SELECT count(*) > 0 FROM endpoints WHERE length(secret) = 32",
    "uuids as text": "SELECT count(*) = count(*) FILTER (WHERE length(uuid) = 36) FROM requests",
    "AUTOINCREMENT is past the highest number":
      "SELECT seq > (SELECT max(id) FROM users) FROM sqlite_sequence WHERE name = 'users'",
  },
  documint: {
    "2^63 - 1 and 2^53 + 1":
      "SELECT count(*) = 2 FROM users WHERE storage_limit IN (9223372036854775807, 9007199254740993)",
    "DECIMAL kept as real and as integer":
      "SELECT group_concat(DISTINCT typeof(amount)) IN ('integer,real', 'real,integer') FROM invoices",
    "a DECIMAL(10, 2) of more places": "SELECT count(*) = 1 FROM invoices WHERE amount = 0.1 + 0.2",
    "a generated column": "SELECT count(*) = 1 FROM invoices WHERE total_cents = 192947",
    "one column of epoch seconds and of several text forms":
      "SELECT count(DISTINCT typeof(finished_at)) = 2 AND count(*) FILTER (WHERE finished_at GLOB '*+02:00') = 1 FROM documents",
    "booleans are 0 and 1": "SELECT count(DISTINCT paid) = 2 FROM invoices",
    "dates as text": "SELECT count(*) = 6 FROM invoices WHERE period_start = '2024-02-29'",
    "the same name composed and decomposed":
      "SELECT count(*) = 2 FROM assets WHERE filename GLOB 'caf*.png'",
    "an empty BLOB that must not be NULL": "SELECT count(*) > 0 FROM assets WHERE data = x''",
    "a text of hundreds of kilobytes": "SELECT max(length(html)) > 250000 FROM template_versions",
    "a unique index on an expression": `SELECT "unique" = 1 FROM pragma_index_list('users') WHERE name = 'users_email'`,
    "a partial and a descending index":
      "SELECT count(*) = 1 FROM pragma_index_list('documents') WHERE partial",
    "AUTOINCREMENT is past the highest number":
      "SELECT seq > (SELECT max(id) FROM invoices) FROM sqlite_sequence WHERE name = 'invoices'",
    "a view that sums": "SELECT count(*) > 0 FROM unpaid_invoices",
    "a CHECK over several columns":
      "SELECT count(*) = 1 FROM sqlite_schema WHERE name = 'documents' AND sql GLOB '*OR output_path IS NOT NULL*'",
    "an integer over 2^31": "SELECT max(bytes) > 4294967296 FROM documents",
  },
};

describe.each(products)("$name holds", (product) => {
  const cases = Object.entries(CASES[product.name]);
  test("every hard case that it is there for", async () => {
    const database = new Database(await createProduct(product), { readonly: true });
    const missing = cases.filter(([, sql]) => database.prepare(sql).pluck().get() !== 1);
    database.close();
    expect(missing.map(([name]) => name)).toEqual([]);
  });
});
