import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  dropSlot,
  listSlots,
  postgresEngine,
  runAs,
  type Server,
  startOnFreePort,
} from "@lifeboat/postgres";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  connectForReplication,
  hangUp,
} from "../../packages/postgres/src/connection/connection.ts";
import { ensureSlot } from "../../packages/postgres/src/wal/receive-slot.ts";
import { PATIENCE } from "../support/patience.ts";
import { ask, availableMajors, startCluster, type TestCluster } from "../support/postgres.ts";

let primary: TestCluster;
let standby: Server | undefined;
let url: URL;

/** The newest version: from 17 on a standby keeps logical slots in step with its primary's. */
beforeAll(async () => {
  const major = (await availableMajors()).at(-1) as number;
  primary = await startCluster({
    ...{ major, settings: { wal_level: "logical" }, initdb: ["--wal-segsize=1"] },
  });
  await primary.query("select pg_create_physical_replication_slot('standby', true)");
  await primary.query(
    "select pg_create_logical_replication_slot('subscriber', 'test_decoding', false, false, true)",
  );
  await primary.crash();
  const { programs, account, directory } = primary;
  const dataDirectory = join(directory, "standby");
  await execa("cp", ["-Rp", primary.dataDirectory, dataDirectory], runAs(account));
  await execa("rm", [
    "-r",
    ...["standby", "subscriber"].map((name) => join(dataDirectory, "pg_replslot", name)),
  ]);
  await writeFile(join(dataDirectory, "standby.signal"), "");
  await primary.startAgain();
  const { username, password, port } = new URL(primary.superuserUrl);
  const settings = {
    ...{ fsync: "off", shared_buffers: "16MB", wal_level: "logical" },
    primary_conninfo: `host=127.0.0.1 port=${port} user=${username} password=${password} dbname=app`,
    primary_slot_name: "standby",
    hot_standby_feedback: "on",
  };
  standby = await startOnFreePort({ programs, account, dataDirectory, settings });
  url = new URL(primary.superuserUrl);
  url.port = String(standby.port);
});
afterAll(async () => {
  await standby?.stop("immediate");
  await primary?.stop();
});

test("WAL is not received through a logical slot, in words that say so", async () => {
  const client = await connectForReplication({ url: primary.superuserUrl }, "subscriber");
  await expect(ensureSlot(client, "subscriber")).rejects.toMatchObject({
    ...{ code: "SLOT_UNUSABLE", kind: "refused", remedy: "name another by --slot" },
  });
  hangUp(client);
});

test("a slot that a standby keeps in step with its primary's is nobody's forgotten one, and is dropped on the primary", async () => {
  const connection = { url: url.href };
  const engine = postgresEngine({ connection });
  const onStandby = (sql: string) => ask(standby as Server, sql, "app");
  const alerts = async () =>
    (await engine.status(null, null)).alerts.map(({ id }) => id).filter((id) => /slot/.test(id));
  await onStandby("alter system set sync_replication_slots = on");
  await onStandby("select pg_reload_conf()");
  await expect
    .poll(() => listSlots(connection), PATIENCE)
    .toMatchObject([{ name: "subscriber", synced: true, temporary: false, verdict: "synced" }]);
  expect(await alerts()).toEqual([]);
  await expect(dropSlot(connection, "subscriber")).rejects.toMatchObject({
    ...{ code: "SLOT_SYNCED", kind: "refused" },
    remedy: expect.stringContaining("on the primary: select pg_drop_replication_slot"),
  });
  // On the primary nobody uses it, and there it can be dropped.
  expect(await listSlots({ url: primary.superuserUrl })).toMatchObject([
    { name: "standby", synced: false, verdict: "active" },
    { name: "subscriber", synced: false, verdict: "inactive" },
  ]);
  // One that is left standing fills the standby's disk.
  await onStandby("alter system reset sync_replication_slots");
  await onStandby("select pg_reload_conf()");
  await expect.poll(alerts, PATIENCE).toEqual(["slot-out-of-step"]);
  await onStandby("alter system set max_slot_wal_keep_size = '1MB'");
  await onStandby("select pg_reload_conf()");
  for (let round = 0; round < 4; round++)
    await primary.query(
      "select pg_logical_emit_message(false, 'ballast', repeat('x', 900000), true)",
    );
  await primary.query("select pg_switch_wal()");
  const lost = async () => {
    await primary.query("checkpoint");
    await onStandby("checkpoint");
    return (await listSlots(connection))[0]?.verdict;
  };
  await expect.poll(lost, PATIENCE).toBe("lost");
  expect((await engine.status(null, null)).alerts).toContainEqual(
    expect.objectContaining({
      ...{ id: "slot-lost", severity: "warning" },
      remedy: expect.stringContaining("the standby makes it again from the primary's"),
    }),
  );
  // Of a standby that was promoted it is its own.
  await onStandby("select pg_promote()");
  expect(await alerts()).toEqual(["slot-lost"]);
  expect(await dropSlot(connection, "subscriber")).toEqual([]);
});
