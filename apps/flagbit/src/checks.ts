import type { ConfiguredCheck } from "lifeboat";

/** What must be true of every FlagBit database, also of one brought back from a backup. */
export const checks: readonly ConfiguredCheck[] = [
  { name: "there are flags", sql: "SELECT count(*) > 0 FROM flags" },
  {
    name: "every flag has a state in every environment of its project",
    sql: `SELECT count(*) = 0 FROM flags f
          JOIN environments e ON e.project_id = f.project_id
          LEFT JOIN flag_states s ON s.flag_id = f.id AND s.environment_id = e.id
          WHERE s.flag_id IS NULL`,
  },
  {
    name: "rules are in an order without holes",
    sql: `SELECT count(*) = 0 FROM (
            SELECT 1 AS hole FROM rules GROUP BY flag_id, environment_id
            HAVING min("order") <> 1 OR max("order") <> count(*) OR count(DISTINCT "order") <> count(*)
          ) AS holes`,
  },
  {
    name: "no rollout is under 0 or over 100 percent",
    sql: "SELECT count(*) = 0 FROM flag_states WHERE rollout_pct < 0 OR rollout_pct > 100",
  },
  {
    name: "every SDK key's digest is whole",
    sql: `SELECT count(*) = 0 FROM environments WHERE length("sdkKeyHash") <> 32`,
  },
];
