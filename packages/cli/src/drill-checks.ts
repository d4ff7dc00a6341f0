import type { DrillCheck, EngineKind } from "@lifeboat/core";
import { configurationInvalid } from "./config/fault.ts";
import type { ConfiguredCheck } from "./configuration.ts";
import type { Session } from "./session.ts";

/**
 * What a drill asserts, for each engine: from the configuration, or from the module that it names.
 * Without a configuration nothing is asserted but that the copy is sound.
 */
export async function drillChecks(
  session: Session,
): Promise<(engine: EngineKind) => readonly DrillCheck[]> {
  if (session.isByRepository) return () => [];
  const { checks: configured, file, postgres } = await session.configuration();
  const source = file ?? session.program;
  const checks = typeof configured === "function" ? await imported(configured, source) : configured;
  const product = postgres ? databaseOf(postgres.url) : undefined;
  return (engine) =>
    checks.map((check) => checkFor(engine, check, engine === "postgres" ? product : undefined));
}

/** The product's own database in the cluster: the one that the URL names. */
export function databaseOf(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  return decodeURIComponent(new URL(url).pathname.slice(1)) || undefined;
}

async function imported(
  load: () => Promise<{ readonly checks: readonly ConfiguredCheck[] }>,
  source: string,
): Promise<readonly ConfiguredCheck[]> {
  const { checks } = await load();
  const { checkChecks } = await import("./config/schema.ts");
  const result = checkChecks(checks);
  if ("value" in result) return checks;
  throw configurationInvalid(
    source,
    result.faults.map(({ path, message }) => ({ path: `drill.checks${path}`, message })),
  );
}

function checkFor(
  engine: EngineKind,
  { name, sql, database }: ConfiguredCheck,
  usual: string | undefined,
): DrillCheck {
  // Variables were resolved with the configuration; a module's checks are plain texts.
  const statement = typeof sql === "object" && engine in sql ? (sql as Each)[engine] : sql;
  return { name, sql: statement as string, database: (database as string) ?? usual };
}

type Each = Readonly<Record<EngineKind, unknown>>;
