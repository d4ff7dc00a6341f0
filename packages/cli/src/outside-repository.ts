import { dirname, relative, resolve } from "node:path";
import { LifeboatError } from "@lifeboat/core/errors";
import type { Session } from "./session.ts";
import { settledPath } from "./settled-path.ts";

/**
 * What is laid into the app's folder of a repository, `verify` and `status` take for damaged objects of it; and one that is replaced there
 * would be lost.
 * @throws LifeboatError `TARGET_IN_REPOSITORY` (kind `refused`), for the first of these places that lies in it
 */
export async function assertOutsideRepository(
  session: Session,
  places: readonly string[],
): Promise<void> {
  const folder = dirname(await session.repositoryMark());
  const settled = await settledPath(folder);
  for (const place of places) {
    const way = relative(settled, await settledPath(resolve(place)));
    if (/^\.\.(\/|$)/.test(way)) continue;
    throw new LifeboatError({
      code: "TARGET_IN_REPOSITORY",
      kind: "refused",
      message: `${place} lies in the repository, below ${folder}`,
      remedy: "name a place outside of it",
      details: { path: place, repository: folder },
    });
  }
}
