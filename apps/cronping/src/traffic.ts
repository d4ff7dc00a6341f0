import {
  epoch,
  insert,
  insertNumbered,
  number,
  type Random,
  replace,
  runTraffic,
  type Session,
  someNumber,
  uuid,
} from "@lifeboat/traffic";

/** What CronPing does all day, and how often: mostly it takes pings. */
const ACTS = [
  [80, ping],
  [8, miss],
  [4, addMonitor],
  [3, deleteMonitor],
  [3, reconnect],
  [2, forgetNotifications],
] as const;

await runTraffic(async (session, random) => () => {
  const act = random.weighted(ACTS);
  return session.transaction(async () => {
    await act(session, random);
    return insertNumbered(session, "activity", {
      action: act.name,
      at: new Date().toISOString(),
    });
  });
});

async function ping(session: Session, random: Random): Promise<void> {
  const monitor = await someMonitor(session, random);
  if (monitor.status === "paused") return;
  const now = Date.now();
  const failed = random.chance(0.02);
  await insert(session, "pings", {
    monitor_id: monitor.id,
    n: monitor.pings + 1,
    created_at: epoch(session, "milliseconds", now),
    kind: failed ? "fail" : "success",
    method: random.pick(["GET", "POST", "HEAD"]),
    remote_addr: `10.0.${random.below(256)}.${random.below(256)}`,
    ua: random.pick(["curl/8.9.1", "Wget/1.24", "python-requests/2.32"]),
    body: random.chance(0.3) ? random.bytes(random.below(600)) : null,
    exitstatus: failed ? 1 + random.below(127) : 0,
  });
  await session.run(
    "UPDATE monitors SET n_pings = n_pings + 1, last_ping = ?, last_duration_ms = ?, alert_after = ? WHERE id = ?",
    new Date(now).toISOString(),
    random.fraction() * 9_000,
    epoch(session, "seconds", now + monitor.patience * 1_000),
    monitor.id,
  );
  if (monitor.status !== "up") await flip(session, monitor, "up");
}

/** A ping that did not come in time: the monitor goes down, and its people are told. */
async function miss(session: Session, random: Random): Promise<void> {
  const monitor = await someMonitor(session, random);
  if (monitor.status !== "up") return;
  await session.run("UPDATE monitors SET alert_after = NULL WHERE id = ?", monitor.id);
  await flip(session, monitor, "down");
  await session.run(
    `INSERT INTO notifications (monitor_id, channel_id, created_at, error)
     SELECT monitor_id, channel_id, ?, ? FROM monitor_channels WHERE monitor_id = ?`,
    epoch(session, "milliseconds", Date.now()),
    random.chance(0.1) ? "connection refused" : "",
    monitor.id,
  );
}

async function addMonitor(session: Session, random: Random): Promise<void> {
  const channelId = await someNumber(session, random, "channels");
  const code = uuid();
  const id = await insertNumbered(session, "monitors", {
    code,
    project_id: await number(session, "SELECT project_id FROM channels WHERE id = ?", channelId),
    name: random.prose(20),
    slug: random.chance(0.5) ? code.slice(0, 8) : "",
    kind: random.pick(["simple", "cron"]),
    schedule: "*/5 * * * *",
  });
  await insert(session, "monitor_channels", { monitor_id: id, channel_id: channelId });
}

/** Takes its pings, flips, notifications and channels with it, by the foreign keys. */
async function deleteMonitor(session: Session, random: Random): Promise<void> {
  const count = await number(session, "SELECT count(*) FROM monitors");
  if (count < 40) return;
  await session.run(
    "DELETE FROM monitors WHERE id = ?",
    await someNumber(session, random, "monitors"),
  );
}

/** A channel is set up anew under the code it had. */
async function reconnect(session: Session, random: Random): Promise<void> {
  const id = await someNumber(session, random, "channels");
  const [channel] = await session.all("SELECT code, project_id FROM channels WHERE id = ?", id);
  if (channel === undefined) return;
  await replace(session, "channels", ["code"], {
    code: channel.code ?? null,
    project_id: channel.project_id ?? null,
    kind: "webhook",
    value: JSON.stringify({ url: `https://hooks.example.com/${random.below(1_000)}` }),
    disabled: 0,
  });
}

async function forgetNotifications(session: Session): Promise<void> {
  const highest = await number(session, "SELECT coalesce(max(id), 0) FROM notifications");
  await session.run("DELETE FROM notifications WHERE id < ?", highest - 500);
}

interface Monitor {
  readonly id: number;
  readonly status: string;
  readonly pings: number;
  /** Seconds from a ping until the next one is missed. */
  readonly patience: number;
}

async function someMonitor(session: Session, random: Random): Promise<Monitor> {
  const id = await someNumber(session, random, "monitors");
  const [row] = await session.all(
    "SELECT status, n_pings, timeout_s + grace_s AS patience FROM monitors WHERE id = ?",
    id,
  );
  return {
    id,
    status: String(row?.status),
    pings: Number(row?.n_pings),
    patience: Number(row?.patience),
  };
}

async function flip(session: Session, monitor: Monitor, status: string): Promise<void> {
  await session.run("UPDATE monitors SET status = ? WHERE id = ?", status, monitor.id);
  await insert(session, "flips", {
    monitor_id: monitor.id,
    created_at: epoch(session, "milliseconds", Date.now()),
    old_status: monitor.status,
    new_status: status,
  });
}
