import type { ConfiguredCheck } from "lifeboat";

/** What must be true of every WebhookVault database, also of one brought back from a backup. */
export const checks: readonly ConfiguredCheck[] = [
  { name: "there are endpoints", sql: "SELECT count(*) > 0 FROM endpoints" },
  {
    name: "every body is as long as was counted",
    sql: "SELECT count(*) = 0 FROM requests WHERE coalesce(length(body), 0) <> body_size",
  },
  {
    name: "every request belongs to an endpoint",
    sql: `SELECT count(*) = 0 FROM requests r
          LEFT JOIN endpoints e ON e.id = r.endpoint_id WHERE e.id IS NULL`,
  },
  {
    name: "attempts to forward are numbered from 1 without holes",
    sql: `SELECT count(*) = 0 FROM (
            SELECT 1 AS hole FROM forwards GROUP BY request_id
            HAVING min(attempt) <> 1 OR max(attempt) <> count(*)
          ) AS holes`,
  },
  {
    name: "no more requests are kept than were counted",
    sql: "SELECT (SELECT count(*) FROM requests) <= (SELECT sum(requests) FROM usage)",
  },
];
