import { RANGE_BYTES } from "@lifeboat/core";
import type { ArchiveRanges } from "../stored-ranges.ts";
import { type ArchiveLayer, type BackupContent, type LayerInit, until } from "../unpack-backup.ts";
import type { DeltaTally } from "./delta-tally.ts";
import { RENAMED } from "./half-done.ts";
import { layByRanges } from "./lay-by-ranges.ts";
import { layWhole } from "./lay-whole.ts";
import { StandingTree } from "./standing-tree.ts";

export interface DeltaLayering {
  readonly backup: Omit<BackupContent, "layer">;
  /** By object; undefined for backups that were taken before ranges were noted. */
  readonly ranges: ReadonlyMap<string, ArchiveRanges> | undefined;
  readonly tally: DeltaTally;
  /** What stays although the backup has no such file. */
  keeps(path: string): boolean;
}

/** Archives become what a standing directory is made to agree with; {@link trees} tell what was taken out. */
export class DeltaLayers {
  readonly trees: StandingTree[] = [];
  readonly #work: DeltaLayering;

  constructor(work: DeltaLayering) {
    this.#work = work;
  }

  open({ into, ...rules }: LayerInit): ArchiveLayer {
    const { backup, ranges, tally, keeps } = this.#work;
    const { folder, manifest, account, through } = backup;
    const { only, links } = rules;
    const tree = new StandingTree({ into, account, ...(only ? {} : { renamed: RENAMED }) });
    this.trees.push(tree);
    return {
      async lay(object, signal) {
        const path = folder.objectPath(manifest, object);
        const work = { tree, rules, path, tally };
        const archive = ranges?.get(object.object);
        if (archive?.ranges.count === Math.ceil(object.content.bytes / RANGE_BYTES)) {
          const reading = folder.readByRange(manifest, object, archive.ranges);
          const laying = layByRanges({ ...work, archive, object, reading });
          for await (const _ of through(until(signal, laying)));
        } else await layWhole(through(until(signal, folder.readObject(manifest, object))), work);
      },
      async finish() {
        await tree.sweep((path) => (only ? !only.test(path) : keeps(path) || !!links?.has(path)));
        await tree.finish();
      },
      get groupReads() {
        return tree.groupReads;
      },
      placeOf: (path) => tree.placeOf(path),
    };
  }
}
