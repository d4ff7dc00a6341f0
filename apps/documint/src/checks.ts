import type { ConfiguredCheck } from "lifeboat";

/** What must be true of every DocuMint database, also of one brought back from a backup. */
export const checks: readonly ConfiguredCheck[] = [
  { name: "there are invoices", sql: "SELECT count(*) > 0 FROM invoices" },
  {
    name: "no document is done without its output",
    sql: `SELECT count(*) = 0 FROM documents
          WHERE status = 'done' AND output IS NULL AND output_path IS NULL`,
  },
  {
    name: "every output is as long as was counted",
    sql: "SELECT count(*) = 0 FROM documents WHERE length(output) <> bytes",
  },
  {
    name: "every template's newest version is its current one",
    sql: `SELECT count(*) = 0 FROM templates t WHERE current_version <>
            (SELECT coalesce(max(version), 0) FROM template_versions WHERE template_id = t.id)`,
  },
  {
    name: "versions have no holes",
    sql: `SELECT count(*) = 0 FROM (
            SELECT 1 AS hole FROM template_versions GROUP BY template_id
            HAVING max(version) <> count(*)
          ) AS holes`,
  },
  {
    name: "what is finished has a time",
    sql: `SELECT count(*) = 0 FROM documents
          WHERE status IN ('done', 'failed') AND finished_at IS NULL`,
  },
];
