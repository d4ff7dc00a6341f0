import { type OpenRepository, Repository, RepositoryMemory } from "@lifeboat/core";
import { stateDirectory } from "./state-directory.ts";

/** Opens a repository with what this account remembers of it. */
export function openRepository(init: Omit<OpenRepository, "memory">): Promise<Repository> {
  return Repository.open({ ...init, memory: new RepositoryMemory(stateDirectory()) });
}
