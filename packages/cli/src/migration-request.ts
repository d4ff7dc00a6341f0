import type { MigrationRequest } from "@lifeboat/migrate";
import type { Session } from "./session.ts";
import { usage } from "./usage.ts";

/** What every phase of a migration is given, from the configuration. */
export async function migrationRequest(session: Session): Promise<MigrationRequest> {
  session.assertEngine([], "migrate moves from SQLite to Postgres");
  const { sqlite, migrate, schema } = await session.configuration();
  const [source, another] = sqlite;
  if (!source || another)
    throw usage(
      `migrate moves one SQLite database, and the configuration has ${sqlite.length}`,
      "name the one that moves in a configuration of its own",
    );
  const hasSchema = schema.sqlite !== undefined || schema.postgres !== undefined;
  const { declaredSchemas } = await import("./drizzle.ts");
  return {
    sqlite: { path: source.path },
    ...(hasSchema && { declared: await declaredSchemas(schema) }),
    ...(migrate.columns && { choices: migrate.columns }),
    ...(migrate.schema && { schema: migrate.schema }),
    run: session.run,
    signal: session.signal,
  };
}

/** Where a migration goes to. */
export async function migrationTarget(session: Session): Promise<{ readonly url: string }> {
  const { postgres } = await session.configuration();
  if (postgres) return { url: postgres.url };
  throw usage("the configuration has no postgres to migrate to", "add postgres.url to it");
}
