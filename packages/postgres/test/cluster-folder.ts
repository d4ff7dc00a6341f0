import { DatabaseFolder, type Storage } from "@lifeboat/core";
import { memoryStorage } from "../../storage/src/memory.ts";

/** A cluster's folder in a repository, in memory unless another storage is given. */
export function clusterFolder({
  storage = memoryStorage(),
  database = "7",
}: {
  readonly storage?: Storage;
  readonly database?: string;
} = {}): DatabaseFolder {
  const compression = { level: 1, logLevel: 1 };
  return new DatabaseFolder({ storage, app: "app", engine: "postgres", database, compression });
}
