import type { Finding } from "@lifeboat/core";
import { archiveCommandSetting } from "../archive-commands.ts";
import { engineOf } from "../config/engine.ts";
import { commandUnreachable } from "../open-to-all.ts";
import type { Session } from "../session.ts";

/** What the engines find in their live databases, and how WAL would be shipped. */
export async function examineEngines(session: Session): Promise<Finding[]> {
  const configuration = await session.configuration();
  const wanted = session.global.engine;
  const findings: Finding[] = [];
  for (const kind of configuration.engines)
    if ((wanted ?? kind) === kind)
      findings.push(...(await engineOf(kind, configuration).inspect()));
  if (configuration.postgres && wanted !== "sqlite") {
    findings.push(...(await commandUnreachable(session.ownCommand)));
    findings.push({
      id: "archive-command",
      severity: "info",
      summary: "this setting ships Postgres' WAL into the repository",
      remedy: await archiveCommandSetting(session),
    });
  }
  return findings;
}
