import { insert, insertNumbered, type Random, type Session } from "@lifeboat/traffic";
import { addEndpoint, addRequest } from "./add-request.ts";
import { hardCases } from "./hard-cases.ts";

const USERS = 10;
const ENDPOINTS = 30;

/** A WebhookVault with thirty endpoints and `rows` requests of last month. */
export async function seed(session: Session, random: Random, rows: number): Promise<void> {
  const endpoints: string[] = [];
  for (let user = 1; user <= USERS; user++) {
    await insertNumbered(session, "users", {
      email: `person${user}@example.com`,
      name: random.pick([null, "", "Zoë"]),
    });
  }
  for (let endpoint = 0; endpoint < ENDPOINTS; endpoint++) {
    endpoints.push(await addEndpoint(session, random, (endpoint % USERS) + 1));
  }
  for (let row = 0; row < rows; row++) {
    const at = Date.UTC(2026, 9, 1) / 1_000 + row * 7 + random.fraction();
    await addRequest(session, random, { endpointId: random.pick(endpoints), at });
  }
  await addForwards(session);
  await hardCases(session);
  await insert(session, "activity", { action: "seed", at: "1970-01-01 00:00:00" });
  await countUsage(session);
}

async function addForwards(session: Session): Promise<void> {
  await session.run(
    `INSERT INTO forwards (request_id, attempt, url, status, duration_ms)
     SELECT id, 1, 'https://internal.example.com/hook', 200, id % 97 + 0.25 FROM requests
     WHERE id % 3 = 0`,
  );
}

async function countUsage(session: Session): Promise<void> {
  await session.run(
    `INSERT INTO usage (user_id, month, requests, bytes)
     SELECT e.user_id, '2026-10', count(*), sum(r.body_size)
     FROM requests r JOIN endpoints e ON e.id = r.endpoint_id GROUP BY e.user_id`,
  );
  // One account older than its counters' first width, one that has been topped up by hand.
  await insert(session, "usage", { user_id: 1, month: "2019-01", bytes: 9_007_199_254_740_993n });
  await insert(session, "usage", {
    user_id: 2,
    month: "2019-01",
    bytes: 9_223_372_036_854_775_807n,
  });
}
