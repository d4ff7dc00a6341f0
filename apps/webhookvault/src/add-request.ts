import { insert, insertNumbered, nanoid, type Random, type Session, uuid } from "@lifeboat/traffic";

/** Adds an endpoint and gives its id. */
export async function addEndpoint(
  session: Session,
  random: Random,
  userId: number,
): Promise<string> {
  const id = nanoid();
  await insert(session, "endpoints", {
    id,
    user_id: userId,
    name: random.prose(10),
    response_headers: '{"content-type": "text/plain"}',
    response_body: "",
    forward_url: random.pick([null, "", "https://internal.example.com/hook"]),
    secret: random.pick([null, "", Buffer.from(random.bytes(16)).toString("hex")]),
    expires_at: random.pick([null, 1_798_761_600 + random.below(1_000_000)]),
  });
  return id;
}

/**
 * Adds a request as the catcher stores it, body as it came over the wire, now and then with tags.
 * `at` is in seconds since 1970. Gives the body's size in bytes.
 */
export async function addRequest(
  session: Session,
  random: Random,
  request: { readonly endpointId: string; readonly at: number },
): Promise<number> {
  const body = random.chance(0.1) ? null : bodyOf(random);
  const id = await insertNumbered(session, "requests", {
    endpoint_id: request.endpointId,
    uuid: uuid(),
    method: random.pick(["POST", "PUT", "GET"]),
    path: `/in/${random.prose(8).replaceAll(" ", "/")}`,
    query: random.pick([null, "{}", '{"retry":"1"}']),
    headers: JSON.stringify({ "user-agent": "GitHub-Hookshot/044aadd", "x-try": random.below(3) }),
    content_type: random.pick(["application/json", "application/octet-stream", null]),
    body,
    body_size: body?.length ?? 0,
    ip: `192.0.2.${random.below(256)}`,
    received_at: request.at,
  });
  if (random.chance(0.2)) await insert(session, "tags", { request_id: id, tag: "new" });
  return body?.length ?? 0;
}

/** Mostly text, at times raw bytes with NULs and what is no UTF-8. */
function bodyOf(random: Random): Uint8Array {
  const length = random.below(1_200);
  return random.chance(0.25)
    ? random.bytes(length)
    : Buffer.from(JSON.stringify({ event: "push", text: random.prose(length) }));
}
