import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  allObjects,
  backup,
  exportToRepository,
  LifeboatError,
  type SnapshotOptions,
  verify,
} from "@lifeboat/core";
import {
  hasProgram,
  listSlots,
  makeStandby,
  postgresDumpSource,
  postgresEngine,
} from "@lifeboat/postgres";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { connect, end } from "../../packages/postgres/src/connection/connection.ts";
import { parseLsn } from "../../packages/postgres/src/wal/lsn.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { countAfter } from "../support/postgres-copies.ts";
import { startReceiving } from "../support/postgres-receiving.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";
import { UnreliableProxy } from "../support/unreliable-proxy.ts";

/** Well in the midst of a base backup, and more than anything else sends on one connection. */
const MIDST = 5 << 20;

/** A keepalive of the server's, as a message of the protocol. */
const KEEPALIVE_BYTES = 23;

let cluster: TestCluster;
let kept: ClusterRepository;
let proxy: UnreliableProxy;
const signal = new AbortController().signal;

beforeAll(async () => {
  cluster = await startCluster({ initdb: ["--wal-segsize=1"] });
  await cluster.query("create table ledger(n int primary key)");
  await cluster.query(
    // A server that finds the link slow compresses: it must not come to less than is cut by that.
    `create table padding as select string_agg(md5((n * 31 + k)::text), '')
       from generate_series(1, 20000) n, generate_series(0, 29) k group by n`,
  );
  await cluster.query("insert into ledger values (1)");
  kept = await repositoryBeside(cluster);
});
beforeEach(async () => {
  proxy = await UnreliableProxy.start(cluster.port);
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  // Whatever happened, the server is soon as if we had never been there.
  await expect
    .poll(() =>
      cluster.query(
        "select pid, query from pg_stat_activity where application_name like 'lifeboat%'",
      ),
    )
    .toEqual([]);
});
afterAll(() => cluster?.stop());

const slots = () => listSlots({ url: cluster.superuserUrl });
const objects = async () =>
  (await Array.fromAsync(allObjects(kept.repository.storage, "test/postgres/")))
    .map(({ path }) => path)
    .filter((path) => !path.includes("/wal/"));

/** @param passed called with the bytes of the database that have come */
const take = (
  options: SnapshotOptions,
  passed: (bytes: number) => void = () => {},
  silenceMs = 60_000,
) =>
  backup({
    run: async (steps) => {
      for (const step of steps) await step.run(({ bytes = 0 }) => passed(bytes));
    },
    repository: kept.repository,
    engine: postgresEngine({ connection: { url: proxy.through(cluster.superuserUrl), silenceMs } }),
    ...{ type: "full", options, signal },
  });

const failure = async (work: Promise<unknown>): Promise<LifeboatError> => {
  const cause = await work.then(
    () => new Error("it went well"),
    (thrown: unknown) => thrown,
  );
  expect(cause).toBeInstanceOf(LifeboatError);
  const { password } = new URL(cluster.superuserUrl);
  expect((cause as LifeboatError).message).not.toContain(password);
  return cause as LifeboatError;
};

/** As a firewall does that forgot the connections it has, or a proxy that hangs; new ones pass. */
function forget(): void {
  proxy.silence();
  proxy.speak();
}

describe.each<SnapshotOptions>([
  { transport: "wire", wal: "stream" },
  { transport: "pg_basebackup", wal: "stream" },
  { transport: "parallel", wal: "stream", jobs: 2 },
])("a backup by %o", (options) => {
  test("whose connection is cut in the midst fails once, and leaves nothing", async () => {
    const before = await objects();
    // Workers that read the files of this host send little: there it is cut once some have been read.
    const cut = (bytes: number) => void (bytes > 0 && proxy.cuts === 0 && proxy.cutAll());
    proxy.cutAfter(MIDST);
    const { message, remedy } = await failure(take(options, cut));
    expect(proxy.cuts).toBeGreaterThan(0);
    expect(message).not.toBe("");
    expect(remedy).not.toBe("");
    expect(await objects()).toEqual(before);
    await expect.poll(slots).toEqual([]);
  });

  test("that comes in small pieces is whole", async () => {
    proxy.fragment(9973);
    const { id } = await take(options);
    const { problems } = await verify({
      repository: kept.repository,
      engines: [kept.offline],
      deep: true,
      signal,
    });
    expect(problems).toEqual([]);
    expect(await countAfter(cluster, kept)).toMatchObject({ count: 1 });
    for (const path of (await objects()).filter((each) => each.includes(id)))
      await kept.repository.storage.remove(path);
  });
});

test("a backup that is cut at its very first byte says that no server answers", async () => {
  proxy.cutAfter(1);
  expect((await failure(take({}))).code).toBe("SERVER_UNREACHABLE");
});

describe("wal receive", () => {
  const position = async () => {
    const [row] = await cluster.query<{ lsn: string }>("select pg_current_wal_flush_lsn() as lsn");
    return parseLsn(row?.lsn as string) as bigint;
  };
  const receive = (silenceMs = 2_000) =>
    startReceiving({ superuserUrl: proxy.through(cluster.superuserUrl) }, kept, silenceMs);
  const caughtUp = async (receiving: ReturnType<typeof receive>) => {
    const end = await position();
    await expect.poll(() => receiving.durable).toBeGreaterThanOrEqual(end);
  };

  test.each([
    ["is cut", () => proxy.cutAll(), /broke|terminated|reset/],
    ["is held open, and silent", () => forget(), /said nothing for/],
  ])("whose connection %s comes back, and misses nothing", async (_, hurt, words) => {
    const receiving = receive();
    try {
      await cluster.query("insert into ledger select coalesce(max(n), 0) + 1 from ledger");
      await caughtUp(receiving);
      const before = proxy.made;
      hurt();
      await cluster.query(
        "insert into padding select repeat('x', 900) from generate_series(1, 3000)",
      );
      await caughtUp(receiving);
      expect(proxy.made).toBeGreaterThan(before);
      expect(receiving.notes.some((note) => words.test(note))).toBe(true);
      expect(receiving.holes).toEqual([]);
    } finally {
      await receiving.stop();
    }
    await cluster.query("select pg_drop_replication_slot('lifeboat_receive')");
  });

  test("that is quiet because nothing is written keeps its one connection", async () => {
    const receiving = receive(4_500);
    try {
      await caughtUp(receiving);
      const before = proxy.made;
      // It asks each second, and is answered: after so many answers it has been quiet for longer than it may be silent.
      const answers = proxy.fromServers + 5 * KEEPALIVE_BYTES;
      await expect.poll(() => proxy.fromServers).toBeGreaterThan(answers);
      expect(proxy.made).toBe(before);
      expect(receiving.notes.filter((note) => /tries again/.test(note))).toEqual([]);
    } finally {
      await receiving.stop();
    }
    await cluster.query("select pg_drop_replication_slot('lifeboat_receive')");
  });
});

test("a standby whose base is cut in the midst leaves neither slot nor files", async () => {
  const to = join(cluster.directory, "standby");
  proxy.cutAfter(MIDST, 1);
  await failure(
    makeStandby({
      connection: { url: proxy.through(cluster.superuserUrl) },
      ...{ to, maxRate: null, tablespaceMapping: new Map(), fetchCommand: [], signal },
      report: () => {},
    }),
  );
  expect(proxy.cuts).toBe(1);
  expect((await readdir(cluster.directory)).filter((name) => name.includes("standby"))).toEqual([]);
  await expect.poll(slots).toEqual([]);
});

test("an export whose connection is cut leaves nothing, and says what pg_dump said", async ({
  skip,
}) => {
  if (!(await hasProgram(cluster.programs, "pg_dump"))) skip("there is no pg_dump");
  const before = await objects();
  proxy.cutAfter(MIDST);
  const connection = { url: proxy.through(cluster.superuserUrl) };
  const source = postgresDumpSource({ connection });
  const { code, message } = await failure(
    exportToRepository({ repository: kept.repository, source, signal }),
  );
  expect(code).toBe("EXPORT_FAILED");
  expect(message).toContain("pg_dump failed: ");
  expect(await objects()).toEqual(before);
});

test.each<SnapshotOptions>([
  // So slow that it is in its midst for a while.
  { transport: "wire", wal: "stream", maxRate: 8 << 20 },
  { transport: "parallel", wal: "stream", jobs: 2 },
])("a backup by %o whose connections are held open, and silent, is given up", async (options) => {
  const manifests = async () => (await kept.repository.backups(kept.folder)).manifests;
  const before = await manifests();
  let isForgotten = false;
  const { message } = await failure(
    take(
      options,
      (bytes) => {
        if (bytes === 0 || isForgotten) return;
        isForgotten = true;
        forget();
      },
      1_000,
    ),
  );
  expect(message).toMatch(/nothing has come for|said nothing for/);
  expect(await manifests()).toEqual(before);
});

test("a standby whose base is held open, and silent, leaves neither slot nor files", async () => {
  const to = join(cluster.directory, "silent");
  let isForgotten = false;
  const { message } = await failure(
    makeStandby({
      connection: { url: proxy.through(cluster.superuserUrl), silenceMs: 1_000 },
      ...{ to, maxRate: 8 << 20, tablespaceMapping: new Map(), fetchCommand: [], signal },
      report: ({ bytes = 0 }) => {
        if (bytes === 0 || isForgotten) return;
        isForgotten = true;
        forget();
      },
    }),
  );
  expect(message).toContain("nothing has come for");
  expect((await readdir(cluster.directory)).filter((name) => name.includes("silent"))).toEqual([]);
  await expect.poll(slots).toEqual([]);
});

test("a slot that cannot be dropped after a standby failed is named, with what drops it", async () => {
  const to = join(cluster.directory, "unreachable");
  const { message, remedy } = await failure(
    makeStandby({
      connection: { url: proxy.through(cluster.superuserUrl) },
      ...{ to, maxRate: 8 << 20, tablespaceMapping: new Map(), fetchCommand: [], signal },
      // Nobody gets through any more, by no connection.
      report: ({ bytes = 0 }) => void (bytes > 0 && proxy.cutAfter(1)),
    }),
  );
  expect(message).toContain("replication slot lifeboat_standby_unreachable is left");
  expect(remedy).toContain("lifeboat slots --drop lifeboat_standby_unreachable");
  await cluster.query("select pg_drop_replication_slot('lifeboat_standby_unreachable')");
});

test("a server that is silent because it works is not given up", async () => {
  const client = await connect({ url: proxy.through(cluster.superuserUrl), silenceMs: 1_500 });
  const holder = new pg.Client(cluster.superuserUrl);
  await holder.connect();
  await holder.query("select pg_advisory_lock(1)");
  const before = proxy.made;
  const waiting = client.query("select pg_advisory_lock(1) is null as woke");
  // It is asked again and again, each time on another connection, what it does.
  await expect.poll(() => proxy.made).toBeGreaterThan(before + 2);
  await holder.end();
  expect((await waiting).rows).toEqual([{ woke: false }]);
  await end(client);
});

/** When the keepalive of each connection to the proxy is due, in hundredths of a second; null for one that has none. */
async function keepAlives(): Promise<(number | null)[]> {
  const port = Number(new URL(proxy.through(cluster.superuserUrl)).port);
  const to = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = (await readFile("/proc/net/tcp", "utf8")).split("\n").map((line) => line.trim());
  return lines
    .map((line) => line.split(/\s+/))
    .filter(([, , remote, state]) => remote?.endsWith(to) && state === "01")
    .map(([, , , , , timer]) =>
      timer?.startsWith("02:") ? Number.parseInt(timer.slice(3), 16) : null,
    );
}

test.runIf(process.platform === "linux")(
  "the server's own programs probe a quiet connection as we do",
  async ({ skip }) => {
    if (!(await hasProgram(cluster.programs, "pg_dump"))) skip("there is no pg_dump");
    const blocker = new pg.Client({ connectionString: cluster.superuserUrl });
    await blocker.connect();
    await blocker.query("begin; lock table ledger in access exclusive mode");
    const connection = { url: proxy.through(cluster.superuserUrl) };
    const stop = new AbortController();
    const source = postgresDumpSource({ connection });
    const order = { repository: kept.repository, source, signal: stop.signal };
    const exporting = exportToRepository(order).catch((cause: unknown) => cause);
    const waits =
      "select from pg_stat_activity where application_name = 'lifeboat' and wait_event_type = 'Lock'";
    await expect.poll(() => cluster.query(waits)).toHaveLength(1);
    const isProbed = (due: number | null) => due !== null && due <= 3_000;
    await expect.poll(async () => (await keepAlives()).map(isProbed)).toEqual([true]);
    stop.abort();
    expect(await exporting).toMatchObject({ name: "AbortError" });
    await blocker.end();
    const taking = take({ transport: "pg_basebackup", wal: "stream", maxRate: 1 << 20 }).catch(
      (cause: unknown) => cause,
    );
    const streams = "select from pg_stat_progress_basebackup where phase like 'streaming%'";
    await expect.poll(() => cluster.query(streams)).toHaveLength(1);
    await expect.poll(async () => (await keepAlives()).map(isProbed)).toEqual([true, true, true]);
    proxy.cutAll();
    expect(await taking).toBeInstanceOf(LifeboatError);
  },
);
