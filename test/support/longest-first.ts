import { existsSync } from "node:fs";
import { join } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files that take long, the longest first. Where no run before has told (in CI none has), vitest begins with
 * the largest files; a long one that is small would begin last, and run on when the other worker has nothing left.
 */
const LONGEST: readonly string[] = ["test/migration/migration-kills.test.ts"];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { root } = this.ctx.config;
    const paths = LONGEST.map((file) => join(root, file));
    const gone = paths.filter((path) => !existsSync(path));
    if (gone.length > 0) throw new Error(`longest-first.ts names what is not there: ${gone}`);
    const sorted = await super.sort(files);
    const long = paths.flatMap((path) => sorted.filter(({ moduleId }) => moduleId === path));
    return [...long, ...sorted.filter((file) => !long.includes(file))];
  }
}
