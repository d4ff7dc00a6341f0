import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { backupChain, type WatchNote, WatchNotes } from "@lifeboat/core";
import { execa } from "execa";
import { expect, onTestFinished } from "vitest";
import { lineagesOf } from "../../packages/sqlite/src/log/objects.ts";
import type { SqliteApp } from "./sqlite-repository.ts";

/** A watch of an app's database in a process of its own. It ends with the test. */
export class WatchProcess {
  readonly app: SqliteApp;
  readonly #child: ChildProcess;

  private constructor(app: SqliteApp) {
    this.app = app;
    const program = fileURLToPath(new URL("./sqlite-watch-process.ts", import.meta.url));
    const flags = [
      `--database=${app.path}`,
      `--repository=${join(app.folder, "repository")}`,
      `--state=${join(app.folder, "memory")}`,
    ];
    this.#child = spawn(process.execPath, [program, ...flags], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    onTestFinished(async () => {
      await this.stop("SIGKILL");
    });
  }

  /** Starts one, and waits until its lineage has a backup. */
  static async start(app: SqliteApp): Promise<WatchProcess> {
    const watch = new WatchProcess(app);
    await watch.isShipping();
    return watch;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  async note(): Promise<WatchNote | null> {
    const { folder } = await this.app.manifests();
    return new WatchNotes(join(this.app.folder, "memory")).read(folder);
  }

  /** Resolves once the watch that runs now has a backup that its lineage starts from, and is done with it. */
  async isShipping(): Promise<void> {
    await expect
      .poll(async () => {
        const note = await this.note();
        if (!note?.alive || note.facts.state !== "shipping") return false;
        const { manifests } = await this.app.manifests();
        const repository = await this.app.repository();
        if (await repository.isLocked(`sqlite-${this.app.name}`)) return false;
        return manifests.some(({ details }) => lineageOf(details) === note.facts.lineage);
      })
      .toBe(true);
  }

  /** Ends it and waits; gives its exit status. */
  async stop(how: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<number | null> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return exitCode;
    const gone = once(this.#child, "exit");
    this.#child.kill(how);
    const [code] = (await gone) as [number | null];
    return code;
  }
}

export function lineageOf(details: Readonly<Record<string, unknown>>): string | undefined {
  return (details.log as { lineage: string } | null)?.lineage;
}

/**
 * Restores as an engineer would without Lifeboat: the oldest backup of the newest lineage, as RESTORE.md says (older
 * segments over a newer backup would be no database until the last of them lies there), the full one that it builds on first, then each segment of its lineage laid beside it, by zstd and sqlite3 alone.
 */
export async function restoreByHand(app: SqliteApp, into: string): Promise<string> {
  const { folder, manifests } = await app.manifests();
  const newest = manifests.findLast(({ details }) => lineageOf(details));
  const lineage = newest && lineageOf(newest.details);
  const oldest = manifests.find(({ details }) => lineage && lineageOf(details) === lineage);
  if (!oldest) throw new Error("there is no backup with a place in the log");
  const [full, ...increments] = backupChain(oldest, manifests);
  const root = join(app.folder, "repository");
  await mkdir(into);
  const copy = join(into, "copy.db");
  const unpack = (object: string, to: string) =>
    execa("zstd", ["-dqf", join(root, object), "-o", to]);
  const lay = async (object: string) => {
    await unpack(object, `${copy}-wal`);
    await execa("sqlite3", [copy, "PRAGMA wal_checkpoint(TRUNCATE)"]);
    await rm(`${copy}-wal`, { force: true });
    await rm(`${copy}-shm`, { force: true });
  };
  await unpack(`${folder.backupPath(full.id)}/app.db.zst`, copy);
  for (const { id } of increments) await lay(`${folder.backupPath(id)}/app.db-wal.zst`);
  const log = `${folder.path}/wal/${lineage}`;
  for (const name of await namesIn(join(root, log)))
    if (!name.includes(".pages.")) await lay(`${log}/${name}`);
  return copy;
}

/** None where nothing was shipped yet. */
async function namesIn(directory: string): Promise<string[]> {
  return existsSync(directory) ? (await readdir(directory)).sort() : [];
}

/** The segments of all lineages, by lineage. */
export async function segmentsOf(app: SqliteApp): Promise<Map<string, string[]>> {
  const { folder } = await app.manifests();
  return new Map(
    [...(await lineagesOf(folder))].map(([lineage, objects]) => [
      lineage,
      objects.map(({ name }) => name),
    ]),
  );
}
