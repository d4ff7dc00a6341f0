/** What a crowd of programs writes to: rows told apart in every way, tied by every action of a foreign key. */
export const CROWD_SCHEMA = `
  CREATE TABLE crowd_parent(id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT 'nobody' UNIQUE, slot INTEGER UNIQUE,
    up INTEGER REFERENCES crowd_parent(id) ON DELETE SET NULL ON UPDATE CASCADE);
  CREATE TABLE crowd_child(k TEXT PRIMARY KEY, parent INTEGER REFERENCES crowd_parent(id) ON DELETE CASCADE ON UPDATE CASCADE, body TEXT);
  CREATE TABLE crowd_pair(a INTEGER, b TEXT, v REAL, PRIMARY KEY (a, b)) WITHOUT ROWID;
  CREATE TABLE crowd_bag(v TEXT, n INTEGER);
  CREATE TABLE crowd_blob(id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB);`;

/** A whole number from 0, below this one. */
export type Below = (below: number) => number;

/** Statements of SQLite; some are refused, by a key or a parent, as those of a product are. */
export function sqliteStatement(below: Below): string {
  const [id, other, slot] = [below(60), below(60), below(40)];
  const forms = [
    `REPLACE INTO crowd_parent VALUES (${id}, 'n${below(60)}', ${slot}, NULL)`,
    `REPLACE INTO crowd_parent VALUES (${id}, NULL, ${slot}, NULL)`,
    `INSERT INTO crowd_parent VALUES (${id}, 'n${id}', ${slot}, ${other}) ON CONFLICT (id) DO UPDATE SET slot = excluded.slot, name = excluded.name`,
    `UPDATE OR REPLACE crowd_parent SET name = 'n${below(60)}', slot = ${slot} WHERE id = ${id}`,
    `UPDATE OR IGNORE crowd_parent SET id = ${other} WHERE id = ${id}`,
    `DELETE FROM crowd_parent WHERE id = ${id}`,
    `REPLACE INTO crowd_child VALUES ('k${below(80)}', ${id}, 'body ${below(1000)}')`,
    `UPDATE OR REPLACE crowd_child SET k = 'k${below(80)}' WHERE k = 'k${below(80)}'`,
    `REPLACE INTO crowd_pair VALUES (${below(8)}, 'b${below(8)}', ${below(100)} / 8.0)`,
    `UPDATE OR REPLACE crowd_pair SET a = ${below(8)}, b = 'b${below(8)}' WHERE a = ${below(8)}`,
    `INSERT INTO crowd_bag VALUES ('v${below(5)}', ${below(3)}), ('v${below(5)}', NULL)`,
    `DELETE FROM crowd_bag WHERE rowid % 3 = ${below(3)}`,
    `UPDATE crowd_bag SET rowid = rowid + 100000 WHERE n = ${below(3)} AND rowid < 100000`,
    "DELETE FROM crowd_bag",
    `INSERT INTO crowd_blob(data) VALUES (randomblob(${below(3000)}))`,
    `DELETE FROM crowd_blob WHERE id % 4 = ${below(4)}`,
  ];
  return forms[below(forms.length)] ?? "";
}

/** The same of Postgres. */
export function postgresStatement(below: Below): string {
  const [id, other, slot] = [below(60), below(60), below(40)];
  const forms = [
    `INSERT INTO crowd_parent VALUES (${id}, 'p${below(60)}', ${slot}, NULL) ON CONFLICT (id) DO UPDATE SET slot = excluded.slot, name = excluded.name`,
    `INSERT INTO crowd_parent VALUES (${id}, 'p${id}', NULL, ${other}) ON CONFLICT DO NOTHING`,
    `UPDATE crowd_parent SET id = ${other} WHERE id = ${id}`,
    `UPDATE crowd_parent SET slot = NULL WHERE slot < ${slot}`,
    `DELETE FROM crowd_parent WHERE id = ${id}`,
    `INSERT INTO crowd_child VALUES ('k${below(80)}', ${id}, 'there') ON CONFLICT (k) DO UPDATE SET body = crowd_child.body || excluded.body`,
    `MERGE INTO crowd_child AS c USING (VALUES ('k${below(80)}')) AS v(k) ON c.k = v.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (k) VALUES (v.k)`,
    `UPDATE crowd_pair SET a = a + 1 WHERE a > ${below(8)}`,
    `INSERT INTO crowd_pair VALUES (${below(8)}, 'b${below(8)}', ${below(100)} / 8.0) ON CONFLICT (a, b) DO UPDATE SET v = excluded.v`,
    `INSERT INTO crowd_bag VALUES ('v${below(5)}', ${below(3)}), ('v${below(5)}', NULL)`,
    `DELETE FROM crowd_bag WHERE ctid = (SELECT min(ctid) FROM crowd_bag)`,
    `UPDATE crowd_bag SET n = n + 1 WHERE n = ${below(3)}`,
    "TRUNCATE crowd_bag",
    `INSERT INTO crowd_blob(data) VALUES (decode(md5('${below(1000)}'), 'hex'))`,
    `DELETE FROM crowd_blob WHERE id % 4 = ${below(4)}`,
  ];
  return forms[below(forms.length)] ?? "";
}
