import {
  insert,
  insertNumbered,
  number,
  type Random,
  runTraffic,
  type Session,
  someKey,
  someNumber,
} from "@lifeboat/traffic";
import { addEndpoint, addRequest } from "./add-request.ts";

/** What WebhookVault does all day, and how often: mostly it catches requests. */
const ACTS = [
  [60, receive],
  [20, forward],
  [8, retag],
  [5, editResponse],
  [4, openEndpoint],
  [3, expireEndpoint],
] as const;

await runTraffic(async (session, random) => () => {
  const act = random.weighted(ACTS);
  return session.transaction(async () => {
    await act(session, random);
    return insertNumbered(session, "activity", {
      action: act.name,
      at: new Date().toISOString().slice(0, 19).replace("T", " "),
    });
  });
});

async function receive(session: Session, random: Random): Promise<void> {
  const endpointId = await someKey(session, random, "endpoints");
  const at = Date.now() / 1_000;
  const size = await addRequest(session, random, { endpointId, at });
  await session.run(
    `INSERT INTO usage (user_id, month, requests, bytes)
     SELECT user_id, ?, 1, ? FROM endpoints WHERE id = ?
     ON CONFLICT (user_id, month)
     DO UPDATE SET requests = usage.requests + 1, bytes = usage.bytes + excluded.bytes`,
    new Date().toISOString().slice(0, 7),
    size,
    endpointId,
  );
}

/** One attempt to hand a request on; attempts are numbered from 1. */
async function forward(session: Session, random: Random): Promise<void> {
  const requestId = await someNumber(session, random, "requests");
  const failed = random.chance(0.2);
  await insert(session, "forwards", {
    request_id: requestId,
    attempt:
      1 + (await number(session, "SELECT count(*) FROM forwards WHERE request_id = ?", requestId)),
    url: "https://internal.example.com/hook",
    status: failed ? null : random.pick([200, 201, 404]),
    duration_ms: random.fraction() * 900,
    error: failed ? "connect ETIMEDOUT\n\tat \\\\internal" : null,
  });
}

async function retag(session: Session, random: Random): Promise<void> {
  const requestId = await someNumber(session, random, "requests");
  await session.run("DELETE FROM tags WHERE request_id = ?", requestId);
  for (let count = random.below(3); count > 0; count--) {
    await insert(session, "tags", { request_id: requestId, tag: random.pick(["new", "stripe"]) });
  }
}

async function editResponse(session: Session, random: Random): Promise<void> {
  await session.run(
    "UPDATE endpoints SET response_status = ?, response_body = ? WHERE id = ?",
    random.pick([200, 202, 204, 500]),
    random.pick(["", "ok", random.prose(80)]),
    await someKey(session, random, "endpoints"),
  );
}

async function openEndpoint(session: Session, random: Random): Promise<void> {
  await addEndpoint(session, random, await someNumber(session, random, "users"));
}

/** Takes its requests, their forwards and tags with it, by the foreign keys. */
async function expireEndpoint(session: Session, random: Random): Promise<void> {
  if ((await number(session, "SELECT count(*) FROM endpoints")) < 20) return;
  await session.run(
    "DELETE FROM endpoints WHERE id = ?",
    await someKey(session, random, "endpoints"),
  );
}
