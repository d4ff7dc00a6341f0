import type { Client } from "pg";
import { finding, type MigrationFinding } from "../finding.ts";
import { KEPT_ROWID } from "../kept-rowid.ts";
import type { MigrationPlan } from "../plan.ts";
import { quoteName } from "../quote.ts";
import { CAPTURE_TRIGGERS } from "../reverse/capture.ts";
import { REFUSAL_TRIGGER } from "../reverse/refuse-target-writes.ts";

interface AddedRow {
  readonly kind: "trigger" | "rule" | "constraint" | "index" | "row-security";
  readonly relation: string;
  readonly name: string;
  readonly definition: string;
  /** When it fires, as `tgenabled` and `ev_enabled` spell it (manual, "pg_trigger"). */
  readonly fires: string;
  /** It changes rows by itself, where the rest refuses. */
  readonly acts: boolean;
}

const OURS =
  "c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND c.relname = ANY ($2)";

/** What may have come to planned tables that a load does not make, or not under this name. An index that is not unique changes no meaning. */
const ADDED = `
  SELECT 'trigger' AS kind, c.relname AS relation, t.tgname AS name, pg_get_triggerdef(t.oid) AS definition,
         t.tgenabled::text AS fires, true AS acts
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
   WHERE NOT t.tgisinternal AND t.tgname <> ALL ($3) AND ${OURS}
  UNION ALL
  SELECT 'rule', c.relname, r.rulename, pg_get_ruledef(r.oid), r.ev_enabled::text, true
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
   WHERE c.relkind IN ('r', 'p') AND ${OURS}
  UNION ALL
  SELECT 'constraint', c.relname, k.conname, pg_get_constraintdef(k.oid), 'O',
         k.contype = 'f' AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
   WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND ${OURS}
  UNION ALL
  SELECT 'index', c.relname, x.relname, pg_get_indexdef(i.indexrelid), 'O', false
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
   WHERE i.indisunique AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
     AND NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey) AND a.attname = '${KEPT_ROWID}')
     AND ${OURS}
  UNION ALL
  SELECT 'row-security', c.relname, c.relname, '', 'O', false FROM pg_class c WHERE c.relrowsecurity AND ${OURS}
  ORDER BY 1, 2, 3`;

/**
 * Names what came to the planned tables of the target since the load: triggers, rules, constraints, unique indexes, row security. What
 * acts by itself on the rows that a sync brings is an error, since both sides drift apart where nobody looks again;
 * what refuses rows, or acts only once the product writes, is a warning.
 */
export async function addedObjects(
  client: Client,
  plan: MigrationPlan,
): Promise<MigrationFinding[]> {
  const { rows } = await client.query<AddedRow>(ADDED, [
    plan.schema,
    plan.tables.map(({ target }) => target),
    [...CAPTURE_TRIGGERS, REFUSAL_TRIGGER],
  ]);
  const added = rows.filter((row) => !isPlanned(plan, row));
  if (added.length === 0) return [];
  const isPassedOver = await mayPassOver(client);
  return added.map((row) => told(plan, row, isPassedOver));
}

function isPlanned({ tables }: MigrationPlan, { kind, relation, name }: AddedRow): boolean {
  const table = tables.find(({ target }) => target === relation);
  if (kind === "constraint") return table?.constraints.some((one) => one.name === name) === true;
  return kind === "index" && table?.indexes.some((one) => one.name === name) === true;
}

/** A sync that may, and this is its role, sets `session_replication_role`, under which triggers, rules and foreign keys of the usual kind do nothing. */
async function mayPassOver(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ may: boolean }>(
    "SELECT has_parameter_privilege('session_replication_role', 'SET') AS may",
  );
  return rows[0]?.may === true;
}

function told(plan: MigrationPlan, row: AddedRow, isPassedOver: boolean): MigrationFinding {
  const { kind, relation, name, fires, acts } = row;
  const table = plan.tables.find(({ target }) => target === relation)?.name ?? relation;
  const actsNow = acts && (fires === "O" ? !isPassedOver : fires !== "D");
  const object =
    kind === "row-security" ? `row security of ${table}` : `${kind} ${name} of ${table}`;
  return finding({
    id: `${kind}-not-planned`,
    severity: actsNow ? "error" : "warning",
    table,
    column: kind === "row-security" ? null : name,
    summary: `${object} came to Postgres after the load: ${actsNow ? actingWords(row) : laterWords(row)}`,
  });
}

function actingWords({ kind, name, definition }: AddedRow): string {
  const until =
    kind === "constraint"
      ? "drop it until the product has moved"
      : `drop it, or disable it (ALTER TABLE … DISABLE ${kind.toUpperCase()} ${quoteName(name)}), until the product has moved`;
  return `it would act on what a sync brings, a second time where SQLite did the same, and nobody compares what it does. For now ${until}. It is ${definition}`;
}

function laterWords({ kind, fires, acts, definition }: AddedRow): string {
  if (kind === "row-security")
    return "a role that does not own the table sees only what a policy lets it see";
  if (acts && fires === "D")
    return `it is disabled, and does nothing until it is enabled. It is ${definition}`;
  if (acts)
    return `it acts from the cutover on, when the product writes there. It is ${definition}`;
  return `it refuses rows that SQLite takes: a sync stops at the first, or the product fails there. It is ${definition}`;
}
