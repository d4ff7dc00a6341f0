import { insert, insertNumbered, type Session, uuid, type Value } from "@lifeboat/traffic";

/** What years of real use leave in such a database, and what careless copies lose. */
export async function hardCases(session: Session): Promise<void> {
  await insert(session, "endpoints", { id: "hard-cases", user_id: 1, name: "it's \\N, \t and 😀" });
  await bytesInText(session);
  await bodies(session);
  await queries(session);
  await sameTagTwice(session);
  await longNames(session);
  await deletedNewestUser(session);
}

/** Texts that are none: with a NUL, and of bytes that are no UTF-8. Users may answer with anything. */
async function bytesInText(session: Session): Promise<void> {
  for (const bytes of [Buffer.from("before\0after"), Buffer.of(0xc3, 0x28), Buffer.from("héllo")]) {
    const id = `bytes-${bytes.toString("hex")}`;
    await insert(session, "endpoints", { id, user_id: 1, name: "bytes" });
    await session.run(
      "UPDATE endpoints SET response_body = CAST(? AS TEXT) WHERE id = ?",
      bytes,
      id,
    );
  }
}

/** Empty is not NULL, and bytes are no text. */
async function bodies(session: Session): Promise<void> {
  for (const body of [null, new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(0xc3, 0x28, 0, 1)]) {
    await request(session, { body, body_size: body?.length ?? 0 });
  }
}

/** A column declared JSON takes whatever a client sent; a second that needs every digit. */
async function queries(session: Session): Promise<void> {
  for (const query of ['{"a":1,"a":2}', "{not json", "", null]) {
    await request(session, { query, received_at: 1_700_000_000.123 });
  }
}

/** A table without a key, with two rows that nothing tells apart. */
async function sameTagTwice(session: Session): Promise<void> {
  const id = await request(session, {});
  for (const tag of ["twice", "twice", ""]) await insert(session, "tags", { request_id: id, tag });
}

/** Two columns whose names are the same in their first 63 bytes. */
async function longNames(session: Session): Promise<void> {
  const id = await request(session, {});
  await insert(session, "forwards", {
    request_id: id,
    attempt: 1,
    url: "",
    error: "",
    upstream_response_time_with_tls_handshake_and_redirects_counted_in_microseconds: 1_500,
    upstream_response_time_with_tls_handshake_and_redirects_counted_in_milliseconds: 1,
  });
}

/** The number of a deleted account must never be given out again: sqlite_sequence is past max(id). */
async function deletedNewestUser(session: Session): Promise<void> {
  await insert(session, "users", { id: 500, email: "gone@example.com" });
  await session.run("DELETE FROM users WHERE id = 500");
}

function request(session: Session, row: Readonly<Record<string, Value>>): Promise<number> {
  return insertNumbered(session, "requests", {
    endpoint_id: "hard-cases",
    uuid: uuid(),
    method: "POST",
    path: "/",
    headers: "{}",
    body_size: 0,
    received_at: 1_700_000_000,
    ...row,
  });
}
