import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { isSystemError, LifeboatError, reasonOf } from "@lifeboat/core/errors";
import type { MigrationPlan } from "@lifeboat/migrate";

/**
 * Writes a plan, whole or not at all. An earlier plan is replaced; anything else that is there is not.
 * @throws LifeboatError `FILE_EXISTS` (refused), `FILE_UNWRITABLE`
 */
export async function writePlan(file: string, plan: MigrationPlan): Promise<void> {
  const path = resolve(file);
  if (!(await isFreeOrPlan(path)))
    throw new LifeboatError({
      code: "FILE_EXISTS",
      kind: "refused",
      message: `${path} is there and is no plan of a migration`,
      remedy: "name another file by --out",
    });
  const growing = `${path}.${process.pid}`;
  try {
    await writeFile(growing, `${JSON.stringify(plan, null, 2)}\n`, { mode: 0o600, flush: true });
    await rename(growing, path);
  } catch (cause) {
    await rm(growing, { force: true });
    throw new LifeboatError({
      code: "FILE_UNWRITABLE",
      message: `cannot write ${path}: ${reasonOf(cause)}`,
      remedy: "name a file in a directory that this account can write to by --out",
      cause,
    });
  }
}

async function isFreeOrPlan(path: string): Promise<boolean> {
  try {
    return JSON.parse(await readFile(path, "utf8")).phase === "plan";
  } catch (thrown) {
    if (isSystemError(thrown, "ENOENT")) return true;
    if (thrown instanceof SyntaxError || isSystemError(thrown, "EISDIR")) return false;
    throw thrown;
  }
}
