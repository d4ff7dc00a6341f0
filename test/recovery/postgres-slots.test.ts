import { dropSlot, listSlots, postgresEngine } from "@lifeboat/postgres";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { withClient } from "../../packages/postgres/src/connection/connection.ts";
import { assertSlotHolds } from "../../packages/postgres/src/standby/standby-slot.ts";
import { Place } from "../cli/command.ts";
import { availableMajors, startCluster, type TestCluster } from "../support/postgres.ts";
import { repositoryBeside } from "../support/postgres-repository.ts";

const majors = await availableMajors();

describe.each(majors)("replication slots of a server of version %i", (major) => {
  let cluster: TestCluster;
  const connection = () => ({ url: cluster.superuserUrl });

  beforeAll(async () => {
    cluster = await startCluster({ major, initdb: ["--wal-segsize=1"] });
  });
  afterAll(() => cluster?.stop());
  afterEach(async () => {
    await cluster.query("select pg_drop_replication_slot(slot_name) from pg_replication_slots");
  });

  const make = (name: string, reserve = true) =>
    cluster.query(`select pg_create_physical_replication_slot('${name}', ${reserve})`);

  test("are shown with what they retain, whose they are and what to think of them", async () => {
    await make("lifeboat_receive");
    await make("standby_1", false);
    await writeWal(3_000_000);
    const slots = await listSlots(connection());
    expect(slots).toMatchObject([
      { name: "lifeboat_receive", type: "physical", owner: "lifeboat", verdict: "inactive" },
      { name: "standby_1", owner: null, verdict: "reserved", retainedBytes: 0, walStatus: null },
    ]);
    expect(slots[0]?.retainedBytes).toBeGreaterThan(3_000_000);
    expect(slots[0]?.retainedBytes).toBeLessThan(10_000_000);
  });

  test("one that lost its WAL is said to be lost, and is an error of doctor and an alert", async () => {
    await make("left_behind");
    const [at] = await cluster.query<{ reserved: string }>(
      "select restart_lsn::text as reserved from pg_replication_slots",
    );
    const { reserved } = at as { reserved: string };
    await cluster.query("alter system set max_slot_wal_keep_size = '1MB'");
    await cluster.query("select pg_reload_conf()");
    await writeWal(6_000_000);
    const engine = postgresEngine({ connection: connection() });
    await expect.poll(async () => (await listSlots(connection()))[0]?.verdict).toBe("losing");
    // For a standby that is made meanwhile it holds, as yet.
    const holds = () =>
      withClient(connection(), (client) => assertSlotHolds(client, "left_behind", reserved));
    expect(await holds()).toMatchObject([{ id: "slot-losing" }]);
    // Until a checkpoint it can still be kept, whoever reads it.
    expect((await engine.status(null, null)).alerts).toContainEqual(
      expect.objectContaining({
        id: "slot-losing",
        remedy: expect.stringMatching(/max_slot_wal_keep_size = '(1[2-9]|2\d)MB'/),
      }),
    );
    await cluster.query("checkpoint");
    await expect.poll(async () => (await listSlots(connection()))[0]?.verdict).toBe("lost");
    await expect(holds()).rejects.toMatchObject({
      code: "SLOT_LOST",
      remedy: expect.stringMatching(/max_slot_wal_keep_size = '(1[2-9]|2\d)MB'/),
    });
    const { alerts } = await engine.status(null, null);
    expect(alerts).toMatchObject([{ id: "slot-lost", severity: "error" }]);
    expect((await engine.inspect()).map(({ id }) => id)).not.toContain("slot-wal-unbounded");
    // Whoever else has lost it, a backup is no less wanted.
    const kept = await repositoryBeside(cluster);
    expect((await kept.take()).findings.map(({ id }) => id)).toContain("slot-lost");
    await cluster.query("alter system reset max_slot_wal_keep_size");
    await cluster.query("select pg_reload_conf()");
  });

  test("a forgotten one is an alert with the time in which it fills the disk", async () => {
    await make("forgotten");
    await make("without_wal", false);
    await writeWal(3_000_000);
    const { alerts } = await postgresEngine({ connection: connection() }).status(null, null);
    expect(alerts).toMatchObject([
      {
        id: "slot-inactive",
        summary: expect.stringMatching(
          // Of what was written in this test's seconds: no disk with room for it is full before that.
          /at the present rate the disk is full in [1-9]\d* (minutes|hours|days)$/,
        ),
      },
      { id: "slot-inactive", summary: expect.stringMatching(/\(nothing reserved\)$/) },
    ]);
  });

  test("an active one is not dropped, a missing one is not found, a foreign one is dropped when it is named", async () => {
    await make("standby_1");
    const client = await streaming("standby_1");
    await expect.poll(async () => (await listSlots(connection()))[0]?.verdict).toBe("active");
    await expect(dropSlot(connection(), "standby_1")).rejects.toMatchObject({
      code: "SLOT_ACTIVE",
      kind: "refused",
    });
    client.connection.stream.destroy();
    await expect.poll(async () => (await listSlots(connection()))[0]?.verdict).toBe("inactive");
    await expect(dropSlot(connection(), "standby_2")).rejects.toMatchObject({
      code: "SLOT_NOT_FOUND",
      kind: "not-found",
      remedy: "there are standby_1",
    });
    expect(await dropSlot(connection(), "standby_1")).toEqual([]);
  });

  test("the command shows and drops them", async () => {
    await using place = await Place.make();
    const configuration = {
      app: "shop",
      repository: { type: "filesystem", path: "repository" },
      postgres: { url: { env: "SHOP_URL" } },
    };
    await place.write("lifeboat.config.json", configuration);
    await make("lifeboat_receive");
    const environment = { SHOP_URL: cluster.superuserUrl };
    // Whether or not the repository can be asked.
    const blind = await place.run(["status", "--json"], environment);
    expect(blind.status).toBe(1);
    const { code, message, details } = JSON.parse(blind.stdout).error;
    expect(code).toBe("REPOSITORY_MISSING");
    expect(message).toContain("replication slot lifeboat_receive (Lifeboat's) is used by nobody");
    expect(details.server.slots).toMatchObject([{ name: "lifeboat_receive", active: false }]);
    const shown = await place.run(["slots"], environment);
    expect(shown.stdout).toMatch(/lifeboat_receive +physical +lifeboat .* inactive/);
    const dropped = await place.run(["slots", "--drop", "lifeboat_receive", "--json"], environment);
    expect(JSON.parse(dropped.stdout)).toEqual({ slots: [], dropped: "lifeboat_receive" });
    expect((await place.run(["slots", "--drop", "lifeboat_receive"], environment)).status).toBe(5);
  });

  /** Streams through a slot until its connection is cut. */
  async function streaming(slot: string): Promise<pg.Client> {
    const replication = { replication: "true" };
    const client = new pg.Client({ connectionString: cluster.superuserUrl, ...replication });
    client.on("error", () => {});
    await client.connect();
    const [row] = await cluster.query<{ lsn: string }>(
      "select restart_lsn as lsn from pg_replication_slots",
    );
    client.query(`START_REPLICATION SLOT "${slot}" PHYSICAL ${row?.lsn}`).catch(() => {});
    return client;
  }

  async function writeWal(bytes: number): Promise<void> {
    for (let written = 0; written < bytes; written += 1_000_000) {
      await cluster.query("select pg_logical_emit_message(false, 'ballast', repeat('x', 1000000))");
      await cluster.query("select pg_switch_wal()");
    }
  }
});
