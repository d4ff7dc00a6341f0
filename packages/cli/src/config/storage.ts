import type { Storage } from "@lifeboat/core";
import type { Configuration } from "../configuration.ts";

/** The storage of a configured repository: a line for each type. */
export async function storageOf(repository: Configuration["repository"]): Promise<Storage> {
  switch (repository.type) {
    case "filesystem":
      return (await import("@lifeboat/storage")).filesystemStorage({ path: repository.path });
  }
}
