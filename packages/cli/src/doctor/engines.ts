import type { EngineKind, Finding } from "@lifeboat/core";
import { archiveCommandSetting } from "../archive-commands.ts";
import type { Configuration } from "../configuration.ts";
import type { Session } from "../session.ts";

/** What the engines find in their live databases, and how WAL would be shipped. */
export async function examineEngines(session: Session): Promise<Finding[]> {
  const configuration = await session.configuration();
  const wanted = session.global.engine;
  const findings: Finding[] = [];
  for (const engine of await session.engines())
    if (isConfigured(configuration, engine.kind) && (wanted ?? engine.kind) === engine.kind)
      findings.push(...(await engine.inspect()));
  if (configuration.postgres && wanted !== "sqlite")
    findings.push({
      id: "archive-command",
      severity: "info",
      summary: "this setting ships Postgres' WAL into the repository",
      remedy: await archiveCommandSetting(session),
    });
  return findings;
}

function isConfigured({ sqlite, postgres }: Configuration, kind: EngineKind): boolean {
  return kind === "sqlite" ? sqlite.length > 0 : postgres !== null;
}
