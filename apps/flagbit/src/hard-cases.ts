import { insert, type Session } from "@lifeboat/traffic";

/** What years of real use leave in such a database, and what careless copies lose. */
export async function hardCases(session: Session): Promise<void> {
  await writtenJson(session);
  await actors(session);
  await highestFlagDeleted(session);
  await farOutNumber(session);
}

/** JSON whose spelling counts: order, spacing, a key twice, an escaped NUL. */
async function writtenJson(session: Session): Promise<void> {
  const texts = [
    '{"b":1,"a":2,"b":3}',
    '{ "spaced" : [ 1,2 ] }',
    '{"nul":"\\u0000","emoji":"\\ud83d\\ude00"}',
    "null",
  ];
  for (const after of texts) {
    await insert(session, "audit_log", { actor: "import", action: "import", after, at: 0 });
  }
}

/** An untyped column: a number, a name, a name of digits, none. */
async function actors(session: Session): Promise<void> {
  for (const actor of [7n, "scheduler", "Ünal", "", null]) {
    await insert(session, "audit_log", { actor, action: "who", at: 0 });
  }
}

/** The number of a deleted flag must never be given out again: sqlite_sequence is past max(id). */
async function highestFlagDeleted(session: Session): Promise<void> {
  const [project] = await session.all("SELECT id FROM projects ORDER BY id LIMIT 1");
  await insert(session, "flags", {
    id: 700,
    project_id: project?.id ?? null,
    key: "Gone",
    type: "json",
  });
  await session.run("DELETE FROM flags WHERE id = 700");
}

/** A number that no double holds: numbering goes on after it. */
async function farOutNumber(session: Session): Promise<void> {
  await insert(session, "organisations", { id: 9_007_199_254_740_993n, name: "o'Brien & Söhne" });
}
