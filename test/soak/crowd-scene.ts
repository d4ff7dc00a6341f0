import Database from "better-sqlite3";
import { oneOf } from "./one-of.ts";

/** What one of a crowd does next: statements, and between them pauses (ms), the end of its own process, and files to be removed. */
export type Step =
  | string
  | { readonly pauseMs: number }
  | { readonly die: true }
  | { readonly remove: string };
export type Scene = readonly Step[];

const TABLES = `
  CREATE TABLE crowd(id INTEGER PRIMARY KEY, payload BLOB NOT NULL);
  CREATE INDEX crowd_payload ON crowd(substr(payload, 1, 8));
  CREATE TABLE crowd_count(newest INTEGER NOT NULL, held INTEGER NOT NULL);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
    INSERT INTO crowd SELECT i, randomblob(2000) FROM n;
  INSERT INTO crowd_count SELECT max(id), count(*) FROM crowd;
`;

/** Tables of the crowd's own, in a database with a ledger: `crowd_count` says what `crowd` holds, and so whether all of it is there. */
export function makeRoomForCrowd(path: string): void {
  const database = new Database(path);
  database.exec(TABLES);
  database.close();
}

const INSERT = [
  "INSERT INTO crowd(payload) VALUES (randomblob(1 + abs(random()) % 9000))",
  "DELETE FROM crowd WHERE id <= (SELECT max(id) FROM crowd) - 200",
  "UPDATE crowd_count SET (newest, held) = (SELECT max(id), count(*) FROM crowd)",
];
const REWRITE = "UPDATE crowd SET payload = randomblob(length(payload))";
const MODES = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"];

/**
 * One scene after the other, the same for the same random sequence. Each leaves the crowd's tables whole, wherever it ends, for as long as
 * nothing behind a statement that failed is done.
 * @param folder where a scene may write files beside the database
 */
export function nextScene(random: () => number, folder: string): Scene {
  const pause = (most: number): Step => ({ pauseMs: Math.round(random() * most) });
  const end = () => oneOf<Step>(random, ["COMMIT", "ROLLBACK", "ROLLBACK", { die: true }]);
  const checkpoint = () => `PRAGMA wal_checkpoint(${oneOf(random, MODES)})`;
  const into = `${folder}/into-${Math.floor(random() * 1e9)}.db`;
  const scenes: readonly (() => Scene)[] = [
    () => ["BEGIN IMMEDIATE", ...INSERT, "COMMIT"],
    () => ["BEGIN IMMEDIATE", ...INSERT, "COMMIT", checkpoint()],
    () => ["BEGIN IMMEDIATE", ...INSERT, "COMMIT", { die: true }],
    () => ["PRAGMA cache_size = 5", "BEGIN IMMEDIATE", REWRITE, pause(300), end()],
    () => [
      ...["PRAGMA cache_size = 5", checkpoint(), "BEGIN IMMEDIATE", REWRITE, REWRITE],
      ...["SAVEPOINT inner", ...INSERT, REWRITE, "ROLLBACK TO inner", REWRITE, end()],
    ],
    () => ["PRAGMA cache_size = 5", checkpoint(), "BEGIN IMMEDIATE", REWRITE, "ROLLBACK"],
    () => ["BEGIN IMMEDIATE", pause(600), ...INSERT, "COMMIT"],
    () => ["BEGIN IMMEDIATE", pause(600), "ROLLBACK", checkpoint()],
    () => [checkpoint(), pause(50), checkpoint(), pause(50), checkpoint()],
    () => ["BEGIN", "SELECT count(*) FROM ledger", pause(2000), "COMMIT", checkpoint()],
    () => ["BEGIN", "SELECT count(*) FROM crowd", checkpoint(), pause(200), "COMMIT"],
    () => ["VACUUM"],
    () => [`VACUUM INTO '${into}'`, { remove: into }],
    () => [
      `PRAGMA journal_size_limit = ${oneOf(random, [-1, 0, 32_768, 1_000_000])}`,
      `PRAGMA wal_autocheckpoint = ${oneOf(random, [0, 1, 20, 1000])}`,
      `PRAGMA synchronous = ${oneOf(random, ["NORMAL", "FULL"])}`,
      ...["BEGIN IMMEDIATE", ...INSERT, "COMMIT"],
    ],
    () => [
      ...["PRAGMA locking_mode = EXCLUSIVE", "BEGIN IMMEDIATE", ...INSERT, "COMMIT", pause(100)],
      ...["PRAGMA locking_mode = NORMAL", "SELECT count(*) FROM crowd_count"],
    ],
    () => ["PRAGMA journal_mode = DELETE", "PRAGMA journal_mode = WAL"],
    () => [pause(500)],
  ];
  return oneOf(random, scenes)();
}
