import type { DatabaseFolder } from "@lifeboat/core";
import { type LogName, parseLogName } from "../log/name.ts";
import { lineagesOf } from "../log/objects.ts";

export type NamedObject = LogName & { readonly name: string };

/**
 * What a running watch keeps of one lineage between calls of {@link compactLog}, so that the log is
 * listed once, at the first call.
 */
export class CompactionState {
  readonly #objects = new Map<string, NamedObject>();
  readonly #looked = new Set<string>();
  #loaded = false;

  get count(): number {
    return this.#objects.size;
  }

  /** Tells of an object that was stored since: `<lineage>/<first>-<last>.<instant>.wal`. */
  shipped(name: string): void {
    const parsed = parseLogName(name);
    if (parsed) this.#objects.set(name, { ...parsed, name });
  }

  removed(name: string): void {
    this.#objects.delete(name);
  }

  async load(folder: DatabaseFolder, lineage: string): Promise<void> {
    if (this.#loaded) return;
    const lineages = await lineagesOf(folder, `${lineage}/`);
    for (const { name } of lineages.get(lineage) ?? []) this.shipped(name);
    this.#loaded = true;
  }

  /** All, by the number that they begin with, wider ones first. */
  all(): NamedObject[] {
    return [...this.#objects.values()].sort((a, b) => a.first - b.first || b.last - a.last);
  }

  frames(): NamedObject[] {
    return this.all().filter(({ kind }) => kind === "frames");
  }

  /**
   * Whether a run was never looked at for this level; from now on it was. One whose summary is
   * there already, as after a restart, counts as looked at.
   */
  isNew(level: string, run: readonly NamedObject[]): boolean {
    const [first, last] = [run[0]?.first, run.at(-1)?.last];
    const key = `${level} ${first}-${last}`;
    const looked = this.#looked.has(key);
    this.#looked.add(key);
    const summed = this.all().some(
      (each) => each.kind === "pages" && each.first === first && each.last === last,
    );
    return !looked && !summed;
  }
}
