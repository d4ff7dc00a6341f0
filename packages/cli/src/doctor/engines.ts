import type { Finding } from "@lifeboat/core";
import { archiveCommandSetting } from "../archive-commands.ts";
import { engineOf } from "../config/engine.ts";
import { commandUnreachable } from "../open-to-all.ts";
import type { Session } from "../session.ts";

/** Those whose remedy is to archive; the engine cannot know by which command. Only archive_mode takes a restart. */
const WANT_ARCHIVING: ReadonlyMap<string, (setting: string) => string> = new Map([
  [
    "archive-mode-off",
    (setting) =>
      `alter system set archive_mode = on; alter system set ${setting}; then restart the server`,
  ],
  ["archive-command-empty", (setting) => `alter system set ${setting}; select pg_reload_conf()`],
]);

/** What the engines find in their live databases, and how WAL would be shipped. */
export async function examineEngines(session: Session): Promise<Finding[]> {
  const configuration = await session.configuration();
  const wanted = session.global.engine;
  const findings: Finding[] = [];
  for (const kind of configuration.engines)
    if ((wanted ?? kind) === kind)
      findings.push(...(await engineOf(kind, configuration).inspect()));
  if (!configuration.postgres || wanted === "sqlite") return findings;
  if (configuration.archive.mode === "receive") return findings;
  const setting = await archiveCommandSetting(session);
  return [
    ...findings.map((finding) => withCommand(finding, setting.sql)),
    ...(await commandUnreachable(session.ownCommand)),
    {
      id: "archive-command",
      severity: "info",
      summary: "for comparison, the setting that ships Postgres' WAL into this repository",
      remedy: setting.line,
    },
  ];
}

function withCommand(finding: Finding, setting: string): Finding {
  const remedy = WANT_ARCHIVING.get(finding.id);
  return remedy ? { ...finding, remedy: remedy(setting) } : finding;
}
