import { LifeboatError, type OpenRepository, Repository, RepositoryMemory } from "@lifeboat/core";
import { stateDirectory } from "./state-directory.ts";

/** Nothing is found below it, and nothing can be laid there. */
const NOWHERE = "/dev/null";

/** Opens a repository with what this account remembers of it. */
export function openRepository(init: Omit<OpenRepository, "memory">): Promise<Repository> {
  return Repository.open({ ...init, memory: new RepositoryMemory(memoryFor(init.mode)) });
}

/** Whoever only reads does without a memory: no other account's folder keeps a server from recovering. */
function memoryFor(mode: OpenRepository["mode"]): string {
  try {
    return stateDirectory();
  } catch (thrown) {
    if (mode === "write" || !(thrown instanceof LifeboatError)) throw thrown;
    return NOWHERE;
  }
}
