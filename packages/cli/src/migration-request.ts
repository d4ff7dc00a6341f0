import type { MigrationRequest } from "@lifeboat/migrate";
import type { Configuration } from "./configuration.ts";
import type { Session } from "./session.ts";
import { usage } from "./usage.ts";

/** Where a migration comes from, for a verb of `migrate`. */
export async function migrationSource(session: Session): Promise<Configuration["sqlite"][number]> {
  session.assertEngine([], "migrate moves from SQLite to Postgres");
  return onlySource(session);
}

async function onlySource(session: Session): Promise<Configuration["sqlite"][number]> {
  const { sqlite } = await session.configuration();
  const [source, another] = sqlite;
  if (source && !another) return source;
  throw usage(
    `migrate moves one SQLite database, and the configuration has ${sqlite.length}`,
    "name the one that moves in a configuration of its own",
  );
}

/** What every phase of a migration is given, from the configuration, for a verb of `migrate`. */
export async function migrationRequest(session: Session): Promise<MigrationRequest> {
  await migrationSource(session);
  return configuredMigration(session);
}

/** The same for what keeps a migration going beside another verb, which `--engine` may concern. */
export async function configuredMigration(session: Session): Promise<MigrationRequest> {
  const source = await onlySource(session);
  const { migrate, schema } = await session.configuration();
  const hasSchema = schema.sqlite !== undefined || schema.postgres !== undefined;
  const { declaredSchemas } = await import("./drizzle.ts");
  return {
    sqlite: { path: source.path },
    ...(hasSchema && { declared: await declaredSchemas(schema) }),
    ...(migrate.columns && { choices: migrate.columns }),
    ...(migrate.schema && { schema: migrate.schema }),
    ...(migrate.appRole && { appRole: migrate.appRole }),
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
