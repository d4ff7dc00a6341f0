import type { Engine, EngineKind } from "@lifeboat/core";
import type { Configuration } from "../configuration.ts";

/** The engine of a kind: a line for each. Without a database in the configuration it reads backups only. */
export async function engineOf(
  kind: EngineKind,
  configuration: Configuration | undefined,
): Promise<Engine> {
  switch (kind) {
    case "sqlite": {
      const { sqliteEngine } = await import("@lifeboat/sqlite");
      return sqliteEngine({ databases: configuration?.sqlite ?? [] });
    }
    case "postgres": {
      const { postgresEngine } = await import("@lifeboat/postgres");
      const connection = configuration?.postgres;
      return postgresEngine(connection ? { connection } : {});
    }
  }
}
