import { readdir } from "node:fs/promises";
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
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
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
    "create table padding as select repeat(md5(n::text), 30) from generate_series(1, 20000) n",
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
const take = (options: SnapshotOptions, passed: (bytes: number) => void = () => {}) =>
  backup({
    run: async (steps) => {
      for (const step of steps) await step.run(({ bytes = 0 }) => passed(bytes));
    },
    repository: kept.repository,
    engine: postgresEngine({ connection: { url: proxy.through(cluster.superuserUrl) } }),
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
  const receive = () =>
    startReceiving({ superuserUrl: proxy.through(cluster.superuserUrl) }, kept, 2_000);
  const caughtUp = async (receiving: ReturnType<typeof receive>) => {
    const end = await position();
    await expect.poll(() => receiving.durable).toBeGreaterThanOrEqual(end);
  };

  test.each([
    ["is cut", () => proxy.cutAll(), /broke|terminated|reset/],
    [
      "is held open, and silent",
      () => {
        proxy.silence();
        proxy.speak();
      },
      /said nothing for/,
    ],
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
    const receiving = receive();
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
  expect(await slots()).toEqual([]);
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
