import type { ConfiguredCheck } from "lifeboat";

/** What must be true of every CronPing database, also of one brought back from a backup. */
export const checks: readonly ConfiguredCheck[] = [
  { name: "there are accounts", sql: "SELECT count(*) > 0 FROM users" },
  {
    name: "every ping belongs to a monitor",
    sql: `SELECT count(*) = 0 FROM pings p
          LEFT JOIN monitors m ON m.id = p.monitor_id WHERE m.id IS NULL`,
  },
  {
    name: "every monitor has counted its pings",
    sql: `SELECT count(*) = 0 FROM monitors m
          WHERE n_pings <> (SELECT count(*) FROM pings WHERE monitor_id = m.id)`,
  },
  {
    name: "every monitor is what its last flip made of it",
    sql: `SELECT count(*) = 0 FROM monitors m
          JOIN flips f ON f.id = (SELECT max(id) FROM flips WHERE monitor_id = m.id)
          WHERE f.new_status <> m.status`,
  },
  {
    name: "a monitor that is down waits for no alert",
    sql: "SELECT count(*) = 0 FROM monitors WHERE status = 'down' AND alert_after IS NOT NULL",
  },
  {
    name: "no two accounts share an address",
    sql: "SELECT count(*) = count(DISTINCT lower(email)) FROM users",
  },
];
