import { insert, insertNumbered, type Random, type Session, uuid } from "@lifeboat/traffic";
import { hardCases } from "./hard-cases.ts";

const USERS = 20;
const MONITORS = 100;

/** A CronPing of some months: accounts with monitors that have flipped up once, and `rows` pings. */
export async function seed(session: Session, random: Random, rows: number): Promise<void> {
  const channels: number[] = [];
  for (let user = 1; user <= USERS; user++) channels.push(await addUser(session, random, user));
  for (let monitor = 1; monitor <= MONITORS; monitor++) {
    await addMonitor(session, random, channels[monitor % USERS] ?? 1, monitor);
  }
  for (let row = 0; row < rows; row++) await addPing(session, random, row);
  await session.run(
    "UPDATE monitors SET n_pings = (SELECT count(*) FROM pings WHERE monitor_id = monitors.id)",
  );
  await hardCases(session);
  await insert(session, "activity", { action: "seed", at: new Date(0).toISOString() });
}

async function addUser(session: Session, random: Random, user: number): Promise<number> {
  const userId = await insertNumbered(session, "users", {
    email: `Person${user}@Example.com`,
    api_key: random.chance(0.7) ? uuid() : null,
  });
  const projectId = await insertNumbered(session, "projects", {
    user_id: userId,
    name: random.prose(12),
    ping_key: random.pick([null, "", `key${user}`]),
  });
  return insertNumbered(session, "channels", {
    code: uuid(),
    project_id: projectId,
    kind: "email",
    value: JSON.stringify({ to: `person${user}@example.com`, up: true, down: true }),
  });
}

async function addMonitor(
  session: Session,
  random: Random,
  channelId: number,
  monitor: number,
): Promise<void> {
  const at = Date.UTC(2026, 0, 1) + monitor * 60_000;
  const id = await insertNumbered(session, "monitors", {
    code: uuid(),
    project_id: channelId,
    name: random.prose(20),
    slug: random.chance(0.5) ? `monitor-${monitor}` : "",
    tags: random.pick(["", "prod", "prod nightly"]),
    kind: random.pick(["simple", "cron"]),
    schedule: random.pick([null, "0 3 * * *"]),
    tz: random.pick(["UTC", "Europe/Berlin"]),
    status: "up",
    last_ping: new Date(at).toISOString(),
    last_start: new Date(at).toISOString().slice(0, 19).replace("T", " "),
    last_duration_ms: random.fraction() * 5_000,
    alert_after: Math.floor(at / 1_000) + 86_400,
    manual_resume: random.below(2),
  });
  await insert(session, "flips", {
    monitor_id: id,
    created_at: at,
    old_status: "new",
    new_status: "up",
  });
  await insert(session, "monitor_channels", { monitor_id: id, channel_id: channelId });
}

async function addPing(session: Session, random: Random, row: number): Promise<void> {
  await insert(session, "pings", {
    monitor_id: (row % MONITORS) + 1,
    n: Math.floor(row / MONITORS) + 1,
    created_at: Date.UTC(2026, 0, 1) + row * 1_000,
    method: "GET",
    remote_addr: `10.0.0.${random.below(256)}`,
    ua: "curl/8.9.1",
    body: random.chance(0.2) ? random.bytes(random.below(400)) : null,
    exitstatus: 0,
  });
}
