import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  allObjects,
  backup,
  drill,
  type Engine,
  list,
  ownProcessMark,
  type RecoveryTarget,
  Repository,
  RepositoryMemory,
  restore,
  status,
  verify,
} from "@lifeboat/core";
import { filesystemStorage } from "@lifeboat/storage";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

/** A real database of an engine, with a table `ledger(n)` that the contract writes to. */
export interface EngineFixture {
  readonly live: Engine;
  /** The same engine with no live database configured. */
  readonly offline: Engine;
  /** Commits one row with the next number; resolves when the commit was acknowledged. */
  write(): Promise<number>;
  /** Whether a restore can do without this object: only the next incremental backup reads it. */
  servesBackupsOnly?(object: string): boolean;
  close(): Promise<void>;
}

const LEDGER_IS_A_PREFIX = {
  name: "the ledger is a prefix",
  sql: "select count(*) = coalesce(max(n), 0) and count(*) > 0 from ledger",
};

/** What every engine promises through core's operations: hand in a factory of real databases. */
export function engineContract(name: string, make: () => Promise<EngineFixture>): void {
  describe(`${name} keeps the engine contract`, () => {
    let fixture: EngineFixture;
    let folder: string;
    let repository: Repository;
    const never = new AbortController().signal;

    beforeAll(async () => {
      fixture = await make();
    });
    afterAll(() => fixture.close());

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), "lifeboat-contract-"));
      repository = await Repository.open({
        storage: filesystemStorage({ path: join(folder, "repository") }),
        app: "contract",
        memory: new RepositoryMemory(join(folder, "state")),
        mode: "write",
      });
    });
    afterEach(() => rm(folder, { recursive: true, force: true }));

    const take = () =>
      backup({ repository, engine: fixture.live, type: "full", options: {}, signal: never });
    const bring = (target: RecoveryTarget, to = "copy") =>
      restore({
        repository,
        engines: [fixture.offline],
        target,
        to: join(folder, to),
        tablespaceMapping: new Map(),
        force: false,
        replay: false,
        fetchCommand: ["false"],
        signal: never,
      });
    const practise = (checks = [LEDGER_IS_A_PREFIX], target: RecoveryTarget = { kind: "latest" }) =>
      drill({
        repository,
        engines: [fixture.offline],
        target,
        checks: () => checks,
        keep: false,
        signal: never,
      });
    const check = (deep = false) =>
      verify({ repository, engines: [fixture.offline], deep, signal: never });
    const dataObjects = async () => {
      const { manifests } = await repository.backups(
        (await repository.folders())[0] as NonNullable<unknown> as never,
      );
      return manifests.flatMap((manifest) =>
        manifest.objects.map(
          ({ object }) =>
            `contract/${manifest.engine}/${manifest.database}/backups/${manifest.id}/${object}`,
        ),
      );
    };
    const file = (object: string) => join(folder, "repository", object);

    test("a backup of a database that is being written restores to a prefix, with all that was acknowledged before it", async () => {
      const before = await fixture.write();
      let writing = true;
      const writer = (async () => {
        while (writing) await fixture.write();
      })();
      const taken = await take();
      writing = false;
      await writer;
      const after = await fixture.write();
      const exactly = (n: string) => ({ name: n, sql: `select ${n} from ledger` });
      const report = await practise(
        [LEDGER_IS_A_PREFIX, exactly(`max(n) >= ${before}`), exactly(`max(n) < ${after}`)],
        { kind: "backup", id: taken.id },
      );
      expect(report.checks.filter(({ ok }) => !ok)).toEqual([]);
      expect(report).toMatchObject({ ok: true, backup: taken.id, engine: fixture.live.kind });
      expect(taken.sourceBytes).toBeGreaterThan(taken.storedBytes);
    });

    test("list, verify, restore and drill need no live database", async () => {
      await fixture.write();
      const taken = await take();
      const listed = await list({ repository, engines: [fixture.offline], live: null });
      expect(listed.backups.map(({ id }) => id)).toEqual([taken.id]);
      expect(listed.windows).toHaveLength(1);
      const [window] = listed.windows;
      expect(window?.from).toBe(taken.consistentAt);
      expect(Date.parse(window?.to ?? "")).toBeGreaterThanOrEqual(Date.parse(taken.consistentAt));
      const checked = await check();
      expect(checked).toMatchObject({ ok: true, problems: [] });
      // The manifest too, and what there is of the log.
      expect(checked.objects).toBeGreaterThan((await dataObjects()).length);
      expect(checked.bytes).toBeGreaterThanOrEqual(taken.storedBytes);
      expect(await check(true)).toMatchObject({ ok: true, problems: [] });
      const restored = await bring({ kind: "latest" });
      expect(restored).toMatchObject({ engine: fixture.live.kind, backup: taken.id });
      expect((await practise()).ok).toBe(true);
      const now = await status({ repository, engines: [fixture.offline], live: null });
      expect(now.lastBackup?.id).toBe(taken.id);
      expect(now.lastDrill?.ok).toBe(true);
    });

    test.each(["flipped", "cut", "removed"])(
      "a data object that was %s is named by verify and by restore, before anything gets a name",
      async (how) => {
        await fixture.write();
        await take();
        for (const object of await dataObjects()) {
          const whole = await readFile(file(object));
          await damage(file(object), how);
          const found = await check();
          expect(found.ok).toBe(false);
          expect(found.problems.map((problem) => problem.object)).toEqual([object]);
          if (how === "cut") expect(found.problems[0]?.message).toContain("bytes instead of");
          if (fixture.servesBackupsOnly?.(object)) {
            await bring({ kind: "latest" }, "unhurt");
            await rm(join(folder, "unhurt"), { recursive: true });
          } else
            await expect(bring({ kind: "latest" })).rejects.toMatchObject({
              kind: "failed",
              message: expect.stringContaining(object),
            });
          expect(await readdir(folder)).toEqual(["repository", "state"]);
          await writeFile(file(object), whole);
        }
        expect((await check()).ok).toBe(true);
      },
    );

    test.each(["flipped", "cut"])(
      "a manifest that was %s is named by verify, list and restore",
      async (how) => {
        await fixture.write();
        const { id } = await take();
        const [manifest] = (await Array.fromAsync(allObjects(repository.storage, "contract/")))
          .map(({ path }) => path)
          .filter((path) => path.endsWith("manifest.json")) as [string];
        await damage(file(manifest), how);
        expect((await check()).problems).toMatchObject([{ object: manifest }]);
        const listed = await list({ repository, engines: [fixture.offline], live: null });
        expect(listed.problems).toMatchObject([{ object: manifest }]);
        for (const target of [{ kind: "latest" }, { kind: "backup", id }] as const)
          await expect(bring(target)).rejects.toMatchObject({
            kind: "failed",
            message: expect.stringContaining(manifest),
          });
      },
    );

    test("a backup whose manifest is gone does not exist, and verify says so", async () => {
      await fixture.write();
      const { id } = await take();
      const [object] = (await dataObjects()) as [string];
      const backup = file(`${object.slice(0, object.indexOf(id))}${id}`);
      await rm(join(backup, "manifest.json"));
      await expect(bring({ kind: "latest" })).rejects.toMatchObject({ kind: "not-found" });
      expect((await check()).problems).toMatchObject([{ code: "MANIFEST_MISSING" }]);
      // Of one that was removed while it was killed a file system may keep the name.
      await rm(backup, { recursive: true });
      await mkdir(backup);
      expect((await check()).problems).toEqual([]);
    });

    test("what is there is not touched by a restore", async () => {
      await fixture.write();
      await take();
      await bring({ kind: "latest" });
      const before = await contents(join(folder, "copy"));
      await expect(bring({ kind: "latest" })).rejects.toMatchObject({ kind: "refused" });
      expect(await contents(join(folder, "copy"))).toEqual(before);
      await mkdir(join(folder, "empty"));
      await expect(bring({ kind: "latest" }, "empty")).resolves.toBeDefined();
    });

    test("a target that cannot be had is refused with what can, before anything is written", async () => {
      const nothing = bring({ kind: "latest" });
      await expect(nothing).rejects.toMatchObject({ kind: "not-found" });
      await fixture.write();
      const taken = await take();
      const early = new Date(Date.parse(taken.startedAt) - 86_400_000);
      for (const at of [early, new Date(Date.now() + 86_400_000)])
        await expect(bring({ kind: "time", at, exclusive: false })).rejects.toMatchObject({
          kind: "not-found",
          remedy: expect.stringContaining(taken.consistentAt),
        });
      await expect(
        bring({ kind: "backup", id: "20200101T000000.000Z-full" }),
      ).rejects.toMatchObject({ kind: "not-found", code: "BACKUP_NOT_FOUND" });
      expect(await readdir(folder)).toEqual(["repository", "state"]);
    });

    test("the instant that a backup holds can be restored by its time", async () => {
      await fixture.write();
      const taken = await take();
      const at = new Date(taken.consistentAt);
      const restored = await bring({ kind: "time", at, exclusive: false });
      expect(restored.backup).toBe(taken.id);
    });

    test("two backups of one database at once: one runs, the other is told who holds the lock", async () => {
      await fixture.write();
      const results = await Promise.allSettled([take(), take()]);
      const refused = results.filter((result) => result.status === "rejected");
      expect(refused.length).toBeGreaterThanOrEqual(1);
      for (const { reason } of refused) expect(reason).toMatchObject({ kind: "locked" });
      await expect(take()).resolves.toBeDefined();
    });

    test("a backup that is stopped leaves nothing, and the next one works", async () => {
      await fixture.write();
      const stop = new AbortController();
      const stopped = backup({
        repository,
        engine: fixture.live,
        type: "full",
        options: {},
        signal: stop.signal,
        run: async (steps) => {
          for (const step of steps)
            await step.run(({ bytes }) => {
              if (bytes !== undefined && bytes > 0) stop.abort();
            });
        },
      });
      await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
      const left = await Array.fromAsync(allObjects(repository.storage, "contract/"));
      const paths = left.map(({ path }) => path);
      expect(paths.filter((path) => /\/(backups|locks)\//.test(path))).toEqual([]);
      await expect(take()).resolves.toBeDefined();
    });

    test("a drill tells a failed check from a passed one, records both, and leaves no copy", async () => {
      await fixture.write();
      await take();
      const before = await readdir(tmpdir());
      const report = await practise([
        LEDGER_IS_A_PREFIX,
        { name: "there are a million rows", sql: "select count(*) = 1000000 from ledger" },
        { name: "asked wrong", sql: "select from nothing where" },
      ]);
      expect(report.ok).toBe(false);
      const answers = new Map(report.checks.map((each) => [each.name, each.ok]));
      expect(answers.get("the ledger is a prefix")).toBe(true);
      expect(answers.get("there are a million rows")).toBe(false);
      expect(answers.get("asked wrong")).toBe(false);
      expect(report.seconds.total).toBeGreaterThan(0);
      expect((await repository.drills()).records.map(({ id, ok }) => ({ id, ok }))).toEqual([
        { id: report.id, ok: false },
      ]);
      const own = (names: string[]) => names.filter((each) => each.includes(ownProcessMark()));
      expect(own(await readdir(tmpdir()))).toEqual(own(before));
    });

    test("an incremental backup with nothing to build on is a full one, and says so", async () => {
      await fixture.write();
      const taken = await backup({
        repository,
        engine: fixture.live,
        type: "incremental",
        options: {},
        signal: never,
      });
      expect(taken).toMatchObject({ type: "full", parent: null });
      expect(taken.id).toMatch(/-full$/);
      expect(taken.findings.map(({ id }) => id)).toContain("incremental-became-full");
      await bring({ kind: "backup", id: taken.id });
    });

    test("options that mean nothing to the engine, or do not go together, are refused, never ignored", async () => {
      await expect(
        backup({
          repository,
          engine: fixture.live,
          type: "full",
          options: { transport: "wire", jobs: 2 },
          signal: never,
        }),
      ).rejects.toMatchObject({ kind: "usage" });
      await expect(fixture.offline.databases()).rejects.toMatchObject({ kind: "usage" });
    });
  });
}

async function damage(path: string, how: string): Promise<void> {
  const bytes = await readFile(path);
  if (how === "removed") await rm(path);
  else if (how === "cut") await writeFile(path, bytes.subarray(0, Math.floor(bytes.length / 2)));
  else {
    const at = Math.floor(bytes.length / 2);
    bytes[at] = (bytes[at] as number) ^ 0x20;
    await writeFile(path, bytes);
  }
}

async function contents(directory: string): Promise<string[]> {
  return (await readdir(directory, { recursive: true })).sort();
}
