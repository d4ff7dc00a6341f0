import { insert, insertNumbered, type Random, type Session, uuid } from "@lifeboat/traffic";
import { addVersion } from "./add-version.ts";
import { hardCases } from "./hard-cases.ts";

const USERS = 15;
const TEMPLATES = 20;

/** A DocuMint with fifteen accounts, twenty templates and `rows` documents. */
export async function seed(session: Session, random: Random, rows: number): Promise<void> {
  for (let user = 1; user <= USERS; user++) await addUser(session, random, user);
  for (let template = 0; template < TEMPLATES; template++) {
    const id = uuid();
    await insert(session, "templates", {
      id,
      user_id: (template % USERS) + 1,
      name: random.prose(12),
    });
    for (let count = random.below(3) + 1; count > 0; count--) await addVersion(session, random, id);
  }
  for (let row = 0; row < rows; row++) await addDocument(session, random, row);
  await hardCases(session);
  await insert(session, "activity", { action: "seed", at: new Date(0).toISOString() });
}

async function addUser(session: Session, random: Random, user: number): Promise<void> {
  const userId = await insertNumbered(session, "users", {
    email: `Person${user}@example.com`,
    name: random.pick([null, "", "Zoë"]),
  });
  await insert(session, "api_keys", {
    user_id: userId,
    prefix: `dm_${user}`,
    hash: random.bytes(32),
    scopes: random.pick(["", "render", "render,templates"]),
    last_used_at: random.pick([null, 1_790_000_000 + user]),
    revoked_at: random.pick([null, null, 1_795_000_000]),
  });
  await insert(session, "webhooks", { user_id: userId, url: "https://hooks.example.com/1" });
  await insert(session, "assets", {
    user_id: userId,
    filename: `logo-${user}.png`,
    mime: "image/png",
    data: random.bytes(random.below(30_000)),
  });
  for (let month = 1; month <= 6; month++) {
    await insert(session, "invoices", {
      user_id: userId,
      amount: random.below(100_000) / 100,
      period_start: `2026-0${month}-01`,
      paid: random.below(2),
    });
  }
}

async function addDocument(session: Session, random: Random, row: number): Promise<void> {
  const output = random.bytes(random.below(2_000) + 1);
  const createdAt = Date.UTC(2026, 3, 1) + row * 90_000;
  await insert(session, "documents", {
    template_version_id: random.below(TEMPLATES) + 1,
    status: "done",
    input: JSON.stringify({ customer: random.prose(40), row }),
    output,
    pages: random.below(9) + 1,
    bytes: output.length,
    created_at: new Date(createdAt).toISOString(),
    finished_at: new Date(createdAt + random.below(5_000)).toISOString(),
  });
}
