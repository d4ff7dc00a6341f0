import { insert, insertNumbered, type Session, uuid, type Value } from "@lifeboat/traffic";

const NOON = Date.UTC(2026, 0, 1, 12);

/** What years of real use leave in such a database, and what careless copies lose. */
export async function hardCases(session: Session): Promise<void> {
  await deletedNewestUser(session);
  await durations(session);
  await names(session);
  await bodies(session);
  await switches(session);
  await orphan(session);
}

/** The number of a deleted account must never be given out again: sqlite_sequence is past max(id). */
async function deletedNewestUser(session: Session): Promise<void> {
  await insert(session, "users", { id: 500, email: "gone@example.com" });
  await session.run("DELETE FROM users WHERE id = 500");
}

/** Reals that need all 17 digits, the smallest, the largest, infinity; what is no number becomes NULL. */
async function durations(session: Session): Promise<void> {
  const values = [0.1 + 0.2, 5e-324, Number.MAX_VALUE, Number.POSITIVE_INFINITY, Number.NaN];
  for (const value of values) await monitor(session, { name: "slow", last_duration_ms: value });
}

/** Text that COPY, CSV and careless quoting trip over. */
async function names(session: Session): Promise<void> {
  const values = [
    "\\N",
    "\\.",
    "tab\tline\nreturn\rback\\slash",
    'it\'s "quoted"',
    "naïve 😀 e\u0301",
  ];
  for (const name of values) await monitor(session, { name });
}

/** Empty is not NULL; bytes are no text; SQLite never cuts a VARCHAR(200). */
async function bodies(session: Session): Promise<void> {
  const id = await monitor(session, { name: "bodies", n_pings: 4 });
  const rows: readonly { body: Value; ua: Value }[] = [
    { body: new Uint8Array(0), ua: "" },
    { body: null, ua: null },
    { body: Uint8Array.of(0x61, 0, 0x62, 0), ua: "curl" },
    { body: Uint8Array.of(0xff, 0xfe, 0xc3, 0x28), ua: "x".repeat(300) },
  ];
  for (const [index, row] of rows.entries()) {
    await insert(session, "pings", { monitor_id: id, n: index + 1, created_at: NOON, ...row });
  }
}

/** Booleans as several releases wrote them. */
async function switches(session: Session): Promise<void> {
  for (const disabled of [0, 1, "true", "t"])
    await insert(session, "channels", { code: uuid(), project_id: 1, kind: "sms", disabled });
}

/** Before foreign keys were enforced, a channel was deleted and its notifications stayed. */
async function orphan(session: Session): Promise<void> {
  await insert(session, "notifications", { monitor_id: 1, channel_id: 999_999, created_at: NOON });
}

function monitor(session: Session, row: Readonly<Record<string, Value>>): Promise<number> {
  return insertNumbered(session, "monitors", { code: uuid(), project_id: 1, ...row });
}
