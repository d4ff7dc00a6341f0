import { randomBytes } from "node:crypto";
import { lstat, readdir, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { isSystemError, LifeboatError, ownProcessMark, processOfMarkIsGone } from "@lifeboat/core";
import type { Account } from "../files/account.ts";
import { syncDirectories, writeDurably } from "../files/durable.ts";
import { readSmallFile } from "../files/small-file.ts";
import { readSystemIdentifier } from "../files/system-identifier.ts";

const CONTROL = "global/pg_control";
/** Where it lies meanwhile: without it no server starts. */
export const CONTROL_ASIDE = "global/pg_control.lifeboat-delta";

/** Lies in a directory that is half-done, and holds its cluster's system identifier; what follows is whose run it is. */
const MARK = ".lifeboat-delta-";
/** A run that failed, and whose process may live on. */
const GIVEN_UP = `${MARK}given-up`;

/** Where files of a half-done directory lie under another name. */
export const RENAMED: ReadonlyMap<string, string> = new Map([[CONTROL, CONTROL_ASIDE]]);

/**
 * The cluster whose data directory it is, also where a delta restore was stopped in it; undefined
 * where nothing tells.
 */
export async function systemOf(directory: string): Promise<string | undefined> {
  const control = await readSystemIdentifier(directory).catch(absent);
  if (control !== undefined) return control;
  for (const mark of await marksIn(directory)) {
    const text = String(await readSmallFile(join(directory, mark)));
    if (/^\d{1,20}\n$/.test(text)) return text.trim();
  }
  return undefined;
}

/**
 * A data directory while its files are of two states. It is told by its mark, and kept from being started by
 * its missing pg_control, which comes back last. Whoever is killed in between leaves it so, and the next
 * run goes on with it.
 */
export class HalfDone {
  readonly #directory: string;
  readonly #mark: string;

  private constructor(directory: string, mark: string) {
    this.#directory = directory;
    this.#mark = mark;
  }

  /**
   * Everything that was checked of the directory is checked again by `assertFree`, once other runs keep off it.
   * @throws LifeboatError kind `locked`: `DELTA_RUNNING`; what `assertFree` throws
   */
  static async begin(
    directory: string,
    systemIdentifier: string,
    { account, assertFree }: { account: Account; assertFree(): Promise<void> },
  ): Promise<HalfDone> {
    const mark = `${MARK}${ownProcessMark()}-${randomBytes(6).toString("hex")}`;
    await writeDurably(join(directory, mark), `${systemIdentifier}\n`, { account, mode: 0o600 });
    try {
      const others = (await marksIn(directory)).filter((name) => name !== mark);
      // Two that begin at once see each other, and both give way.
      if (others.some(isRunning)) throw running(directory);
      await assertFree();
      await syncDirectories([directory]);
      await rename(join(directory, CONTROL), join(directory, CONTROL_ASIDE)).catch(absent);
      await syncDirectories([join(directory, "global")]);
      for (const other of others) await unlink(join(directory, other));
    } catch (cause) {
      await unlink(join(directory, mark)).catch(absent);
      throw cause;
    }
    return new HalfDone(directory, mark);
  }

  /** Whether a file of the directory is this run's mark. */
  isMark(path: string): boolean {
    return path === this.#mark;
  }

  /** All is there and durable: from now on it can be started. */
  async complete(): Promise<void> {
    await rename(join(this.#directory, CONTROL_ASIDE), join(this.#directory, CONTROL));
    await syncDirectories([join(this.#directory, "global")]);
    await unlink(join(this.#directory, this.#mark));
    await syncDirectories([this.#directory]);
  }

  /** Leaves it as it is to the next run. */
  async giveUp(): Promise<void> {
    await rename(join(this.#directory, this.#mark), join(this.#directory, GIVEN_UP)).catch(absent);
  }
}

async function marksIn(directory: string): Promise<string[]> {
  const names = (await readdir(directory)).filter((name) => name.startsWith(MARK));
  const files = await Promise.all(names.map((name) => lstat(join(directory, name)).catch(absent)));
  return names.filter((_, i) => files[i]?.isFile());
}

function isRunning(name: string): boolean {
  const mark = /^(.+)-[0-9a-f]{12}$/.exec(name.slice(MARK.length))?.[1];
  return mark !== undefined && !processOfMarkIsGone(mark);
}

function absent(cause: unknown): undefined {
  if (isSystemError(cause, "ENOENT")) return undefined;
  throw cause;
}

function running(directory: string): LifeboatError {
  return new LifeboatError({
    code: "DELTA_RUNNING",
    kind: "locked",
    message: `another restore --delta works on ${directory}`,
    remedy:
      "wait for it; one that was killed on another host leaves a mark, .lifeboat-delta-…, which you may remove",
    details: { path: directory },
  });
}
