import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type WatchNote, WatchNotes } from "@lifeboat/core";
import { execa } from "execa";
import { expect, onTestFinished } from "vitest";
import { lineagesOf } from "../../packages/sqlite/src/log-objects.ts";
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

  /** Resolves once the watch that runs now has a backup that its lineage starts from. */
  async isShipping(): Promise<void> {
    await expect
      .poll(async () => {
        const note = await this.note();
        if (!note?.alive || note.facts.state !== "shipping") return false;
        const { manifests } = await this.app.manifests();
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
 * Restores as an engineer would without Lifeboat: the newest full backup, then each segment of its lineage
 * laid beside it, by zstd and sqlite3 alone.
 */
export async function restoreByHand(app: SqliteApp, into: string): Promise<string> {
  const { folder, manifests } = await app.manifests();
  const base = manifests.findLast(({ type, details }) => type === "full" && lineageOf(details));
  if (!base) throw new Error("there is no full backup with a place in the log");
  const lineage = lineageOf(base.details) as string;
  const root = join(app.folder, "repository");
  await mkdir(into);
  const copy = join(into, "copy.db");
  await execa("zstd", ["-dq", join(root, folder.backupPath(base.id), "app.db.zst"), "-o", copy]);
  for (const name of (await readdir(join(root, folder.path, "wal", lineage))).sort()) {
    if (name.includes(".pages.")) continue;
    const object = join(root, folder.path, "wal", lineage, name);
    await execa("zstd", ["-dqf", object, "-o", `${copy}-wal`]);
    await execa("sqlite3", [copy, "PRAGMA wal_checkpoint(TRUNCATE)"]);
    await rm(`${copy}-wal`, { force: true });
    await rm(`${copy}-shm`, { force: true });
  }
  return copy;
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
