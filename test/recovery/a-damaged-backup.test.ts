import { open, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { list, type Manifest, status } from "@lifeboat/core";
import Database from "better-sqlite3";
import { afterEach, expect, test } from "vitest";
import { ledgerApp } from "../support/ledger-app.ts";
import { isThere } from "../support/sqlite.ts";
import { closeHistories, dumpOf, history } from "../support/sqlite-history.ts";
import { Recorder } from "../support/sqlite-recorder.ts";
import type { SqliteApp } from "../support/sqlite-repository.ts";

afterEach(closeHistories);

const counting = (values: readonly number[]) =>
  values.map((value) => `UPDATE counter SET v = ${value}`);

/** A backup whose log goes on past a second one. */
async function twoBackupsOnOneLog() {
  const app = await ledgerApp();
  const { recorder } = await history(app, counting([1, 2]));
  const { id } = await app.backup();
  const { states } = await history(app, counting([3, 4]), { recorder });
  const { folder, manifests } = await app.manifests();
  const [first, second] = manifests as [Manifest, Manifest];
  expect(second.id).toBe(id);
  const file = (manifest: Manifest, name: string) =>
    join(app.folder, "repository", folder.backupPath(manifest.id), name);
  return { app, first, second, states, file };
}

/** With as many bytes as before. */
async function rot(file: string): Promise<void> {
  const handle = await open(file, "r+");
  await handle.write(Buffer.from("damage"), 0, 6, 200);
  await handle.close();
}

const time = (at: number) => ({ kind: "time", at: new Date(at), exclusive: false }) as const;

const restoredTo = (app: SqliteApp, name: string) => join(app.folder, name);

test("where the newest backup is damaged the log leads to the same state from an older one, and that is told", async () => {
  const { app, first, second, states, file } = await twoBackupsOnOneLog();
  await rot(file(second, "app.db.zst"));
  for (const [name, { at, dump }] of Object.entries({ third: states[0], fourth: states[1] }) as [
    string,
    { at: number; dump: string },
  ][]) {
    const restored = await app.restore(restoredTo(app, name), { target: time(at) });
    expect(dumpOf(restored.path)).toBe(dump);
    expect(restored.backup).toBe(first.id);
  }
  const latest = await app.restore(restoredTo(app, "latest"));
  expect(dumpOf(latest.path)).toBe(states[1]?.dump);
  expect(latest).toMatchObject({
    backup: first.id,
    findings: [
      {
        id: "backup-damaged",
        severity: "warning",
        summary: expect.stringContaining(`${second.id}/app.db.zst`),
      },
    ],
  });
});

test("of several backups that are damaged each is tried once, and where none is left the restore names what was damaged first and last", async () => {
  const { app, first, second, file } = await twoBackupsOnOneLog();
  await rm(file(second, "app.db.zst"));
  await rm(file(first, "app.db.zst"));
  await expect(app.restore(restoredTo(app, "to"))).rejects.toMatchObject({
    code: "OBJECT_MISSING",
    message: expect.stringMatching(`${second.id}/app.db.zst .* not .*${first.id}/app.db.zst`),
    details: { object: expect.stringContaining(second.id) },
  });
  expect(await isThere(restoredTo(app, "to"))).toBe(false);
});

test("a list names what of a backup is not there and offers no instant that needs it; status tells of an older one too", async () => {
  const app = await ledgerApp();
  await app.backup();
  await app.backupIncrement();
  await app.backup();
  const { folder, manifests } = await app.manifests();
  const [first, , newest] = manifests as [Manifest, Manifest, Manifest];
  const file = (each: Manifest, name: string) => `${folder.backupPath(each.id)}/${name}`;
  const remove = (object: string) => rm(join(app.folder, "repository", object));
  const asked = { repository: await app.repository(), engines: [app.engine], live: null };
  // Only a later backup would compare itself with these.
  const hashes = file(newest, "app.db-pages.zst");
  await remove(hashes);
  expect(await list(asked)).toMatchObject({
    problems: [{ object: hashes, code: "OBJECT_MISSING" }],
    windows: manifests.map(({ consistentAt: from }) => ({ from })),
  });
  const base = file(first, "app.db.zst");
  await truncate(join(app.folder, "repository", base), 10);
  expect(await list(asked)).toMatchObject({
    problems: [{ object: base, code: "CHECKSUM_MISMATCH" }, { object: hashes }],
    windows: [{ from: newest.consistentAt }],
  });
  const { alerts, windows } = await status(asked);
  expect(windows).toMatchObject([{ from: newest.consistentAt }]);
  expect(alerts.filter(({ id }) => id.endsWith("backup-damaged"))).toMatchObject([
    { id: "backup-damaged", severity: "error", summary: expect.stringContaining(hashes) },
    { id: "older-backup-damaged", severity: "warning", summary: expect.stringContaining(base) },
  ]);
});

test("a damaged full backup with nothing but what builds on it is told at once, and not tried again and again", async () => {
  const app = await ledgerApp();
  const { id } = await app.backup();
  expect((await app.backupIncrement()).parent).toBe(id);
  const { folder } = await app.manifests();
  await rot(join(app.folder, "repository", folder.backupPath(id), "app.db.zst"));
  for (const kind of ["latest", "immediate"] as const)
    await expect(
      app.restore(restoredTo(app, kind), { target: { kind }, signal: AbortSignal.timeout(10_000) }),
    ).rejects.toMatchObject({
      code: "CHECKSUM_MISMATCH",
      details: { object: expect.stringContaining(id) },
    });
});

test("a damaged backup with which another log began after the clock was set back is not replaced by the older log, which has its instants too", async () => {
  const app = await ledgerApp();
  const old = await Recorder.begin(app);
  // Behind the backup by the clock, and before the next one in truth.
  old.clock = () => Date.now() + 60_000;
  await history(app, counting([1]), { recorder: old });
  const { states } = await history(app, counting([2]), { recorder: await Recorder.begin(app) });
  const { folder, manifests } = await app.manifests();
  const newer = manifests.at(-1) as Manifest;
  const at = time(states[0].at);
  expect(dumpOf((await app.restore(restoredTo(app, "sound"), { target: at })).path)).toBe(
    states[0].dump,
  );
  await rot(join(app.folder, "repository", folder.backupPath(newer.id), "app.db.zst"));
  await expect(app.restore(restoredTo(app, "damaged"), { target: at })).rejects.toMatchObject({
    code: "CHECKSUM_MISMATCH",
  });
  expect(await isThere(restoredTo(app, "damaged"))).toBe(false);
});

test("a backup that can't be restored keeps no instant before it, and none of a later log, from being had", async () => {
  const app = await ledgerApp();
  const before = await history(app, counting([1]));
  app.shipping.clear();
  const { id } = await app.backup();
  await Recorder.begin(app, "incremental");
  const after = await history(app, counting([2]), { recorder: await Recorder.begin(app) });
  const { folder } = await app.manifests();
  await rm(join(app.folder, "repository", folder.backupPath(id), "manifest.json"));
  for (const { at, dump } of [before.states[0], after.states[0]]) {
    const { path } = await app.restore(restoredTo(app, `at-${at}`), { target: time(at) });
    expect(dumpOf(path)).toBe(dump);
  }
});

test("a damaged backup that is named, or holds what no log leads to, is refused: an older state is never given in its place", async () => {
  const { app, second, file } = await twoBackupsOnOneLog();
  await rm(file(second, "app.db.zst"));
  await expect(
    app.restore(restoredTo(app, "named"), { target: { kind: "backup", id: second.id } }),
  ).rejects.toMatchObject({ code: "OBJECT_MISSING" });
  const logless = await ledgerApp();
  await logless.backup();
  const { id: newest } = await logless.backup();
  const { folder } = await logless.manifests();
  await rm(join(logless.folder, "repository", folder.backupPath(newest), "app.db.zst"));
  for (const kind of ["latest", "immediate"] as const)
    await expect(
      logless.restore(restoredTo(logless, kind), { target: { kind } }),
    ).rejects.toMatchObject({ code: "OBJECT_MISSING" });
});

test("a damaged manifest keeps no instant from being restored that the log holds from an older backup; of the newest state it says how far that leads", async () => {
  const { app, first, second, states, file } = await twoBackupsOnOneLog();
  await writeFile(file(second, "manifest.json"), "{}");
  const { at, dump } = states[1] as { at: number; dump: string };
  const restored = await app.restore(restoredTo(app, "fourth"), { target: time(at) });
  expect(dumpOf(restored.path)).toBe(dump);
  expect(restored.backup).toBe(first.id);
  await expect(app.restore(restoredTo(app, "latest"))).rejects.toMatchObject({
    code: "MANIFEST_CORRUPT",
    remedy: expect.stringContaining(`--at ${new Date(at).toISOString()}`),
  });
});

test("where nothing was committed between the log's end and a damaged backup, the log leads to that backup's own state", async () => {
  const app = await ledgerApp();
  const { states } = await history(app, counting([1, 2]));
  const { id } = await app.backup();
  await app.backupIncrement();
  const { folder, manifests } = await app.manifests();
  const [first, second, third] = manifests as [Manifest, Manifest, Manifest];
  expect(second.id).toBe(id);
  await rot(join(app.folder, "repository", folder.backupPath(id), "app.db.zst"));
  const asked = {
    latest: { kind: "latest" },
    second: time(Date.parse(second.consistentAt)),
    third: time(Date.parse(third.consistentAt)),
  } as const;
  const without = new Set([second.id]);
  expect((await app.engine.reach(folder, manifests, { without })).windows).toMatchObject([
    { from: first.consistentAt, to: third.consistentAt },
  ]);
  for (const [name, target] of Object.entries(asked)) {
    const restored = await app.restore(restoredTo(app, name), { target });
    expect(dumpOf(restored.path)).toBe(states[1]?.dump);
    expect(restored.backup).toBe(first.id);
    expect(restored.findings.map((each) => each.id)).toContain("backup-damaged");
  }
  await expect(
    app.restore(restoredTo(app, "immediate"), { target: { kind: "immediate" } }),
  ).rejects.toMatchObject({ code: "CHECKSUM_MISMATCH" });
});

test("a damaged backup that holds a commit which the log does not is refused, and not restored without that commit", async () => {
  const app = await ledgerApp();
  await history(app, counting([1, 2]));
  const writer = new Database(app.path);
  writer.exec("UPDATE counter SET v = 3");
  const { id } = await app.backup();
  writer.close();
  const { folder, manifests } = await app.manifests();
  await rot(join(app.folder, "repository", folder.backupPath(id), "app.db.zst"));
  const { consistentAt, details } = manifests.at(-1) as Manifest;
  expect(details.log).toMatchObject({ lineage: expect.any(String) });
  for (const target of [{ kind: "latest" }, time(Date.parse(consistentAt))] as const)
    await expect(app.restore(restoredTo(app, target.kind), { target })).rejects.toMatchObject({
      code: "CHECKSUM_MISMATCH",
    });
});

test("an instant, a backup, or a newest state that a missing manifest keeps from being had is refused with its name, or told", async () => {
  const { app, first, second, states, file } = await twoBackupsOnOneLog();
  const nameOf = ({ id }: Manifest) => expect.stringContaining(`${id}/manifest.json`);
  const [{ at }] = states;
  await rm(file(first, "manifest.json"));
  await expect(
    app.restore(restoredTo(app, "lost"), { target: time(Date.parse(first.consistentAt)) }),
  ).rejects.toMatchObject({
    code: "TARGET_OUTSIDE_WINDOWS",
    kind: "not-found",
    message: expect.stringMatching(`no recovery window .*; .*${first.id} has objects but no manif`),
    remedy: expect.stringMatching(/^bring what is missing back .* choose an instant in/),
    details: { object: nameOf(first) },
  });
  // Before it was begun nothing of it is meant.
  const early = app.restore(restoredTo(app, "early"), { target: time(Date.parse("2026-01-01")) });
  await expect(early).rejects.toMatchObject({
    message: expect.not.stringContaining(first.id),
  });
  const { id } = first;
  await expect(
    app.restore(restoredTo(app, "named"), { target: { kind: "backup", id } }),
  ).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND", details: { object: nameOf(first) } });
  expect((await app.restore(restoredTo(app, "held"), { target: time(at) })).findings).toEqual([]);
  await rm(file(second, "manifest.json"));
  await expect(app.restore(restoredTo(app, "none"))).rejects.toMatchObject({
    code: "BACKUP_NOT_FOUND",
    details: { object: nameOf(second) },
  });
  const target = time(Date.parse(second.consistentAt));
  await expect(app.restore(restoredTo(app, "no more"), { target })).rejects.toMatchObject({
    code: "TARGET_OUTSIDE_WINDOWS",
    details: { object: nameOf(second) },
  });
});

test("whoever restores the newest state is told of a later backup that has lost its manifest", async () => {
  const app = await ledgerApp();
  const { id } = await app.backup();
  expect((await app.restore(restoredTo(app, "sound"))).findings).toEqual([]);
  const { id: lost } = await app.backup();
  const { folder } = await app.manifests();
  await rm(join(app.folder, "repository", folder.backupPath(lost), "manifest.json"));
  expect(await app.restore(restoredTo(app, "older"))).toMatchObject({
    backup: id,
    findings: [{ id: "manifest-missing", summary: expect.stringContaining(lost) }],
  });
});

test("an instant that only a backup has whose base is gone is refused with the name of both", async () => {
  const app = await ledgerApp();
  await app.backup();
  const { id: base } = await app.backup();
  const { id, consistentAt } = await app.backupIncrement();
  const { folder } = await app.manifests();
  await rm(join(app.folder, "repository", folder.backupPath(base)), { recursive: true });
  await expect(
    app.restore(restoredTo(app, "to"), { target: time(Date.parse(consistentAt)) }),
  ).rejects.toMatchObject({
    kind: "not-found",
    message: expect.stringContaining(`backup ${id} builds on ${base}, which is not there`),
  });
});
