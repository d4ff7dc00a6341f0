import { RANGE_BYTES } from "@lifeboat/core";
import type { ArchiveRanges } from "../snapshot/stored-ranges.ts";
import {
  type ArchiveLayer,
  type BackupContent,
  type LayerInit,
  until,
} from "../unpack/unpack-backup.ts";
import type { BlockLayout } from "./block-layout.ts";
import type { DeltaTally } from "./delta-tally.ts";
import { RENAMED } from "./half-done.ts";
import { layByRanges } from "./lay-by-ranges.ts";
import { type Increments, layWhole } from "./lay-whole.ts";
import { StandingTree } from "./standing-tree.ts";

export interface DeltaLayering {
  readonly backup: Omit<BackupContent, "layer">;
  /** By object; undefined for backups that were taken before ranges were noted, and incremental ones. */
  readonly ranges: ReadonlyMap<string, ArchiveRanges> | undefined;
  readonly tally: DeltaTally;
  /** Of an incremental backup: what it is laid upon. */
  readonly upon?: { readonly before: DeltaLayers; readonly layout: BlockLayout } | undefined;
  /** No other backup is laid upon this one: what it has not is removed. */
  readonly isLast: boolean;
  /** Paths whose content is not wanted. */
  readonly passOver: ReadonlySet<string>;
  /** What stays although the backup has no such file. */
  keeps(path: string): boolean;
}

/** The archives of one backup become what a standing directory is made to agree with; {@link trees} tell what was taken out. */
export class DeltaLayers {
  readonly trees: StandingTree[] = [];
  readonly #byPlace = new Map<string, StandingTree>();
  readonly #work: DeltaLayering;

  constructor(work: DeltaLayering) {
    this.#work = work;
  }

  open({ into, ...given }: LayerInit): ArchiveLayer {
    const { backup, ranges, tally, isLast, keeps } = this.#work;
    const { folder, manifest, account, through } = backup;
    const { only, links } = given;
    const passOver = this.#work.passOver.union(given.passOver ?? new Set<string>());
    const rules = { ...given, passOver };
    const tree = new StandingTree({ into, account, ...(only ? {} : { renamed: RENAMED }) });
    this.trees.push(tree);
    this.#byPlace.set(into, tree);
    const increments = this.#increments(into);
    return {
      async lay(object, signal) {
        const path = folder.objectPath(manifest, object);
        const work = { tree, rules, path, tally };
        const archive = ranges?.get(object.object);
        if (archive?.ranges.count === Math.ceil(object.content.bytes / RANGE_BYTES)) {
          const reading = folder.readByRange(manifest, object, archive.ranges);
          const laying = layByRanges({ ...work, archive, object, reading });
          for await (const _ of through(until(signal, laying)));
        } else {
          const content = through(until(signal, folder.readObject(manifest, object)));
          await layWhole(content, { ...work, increments });
        }
      },
      async finish() {
        if (isLast)
          await tree.sweep((path) => (only ? !only.test(path) : keeps(path) || !!links?.has(path)));
        await tree.finish();
      },
      get groupReads() {
        return tree.groupReads;
      },
      placeOf: (path) => tree.placeOf(path),
    };
  }

  #increments(into: string): Increments | undefined {
    const { upon } = this.#work;
    if (!upon) return undefined;
    const before = upon.before.#byPlace.get(into);
    return { layout: upon.layout, isThere: (path) => before?.has(path) ?? false };
  }
}
