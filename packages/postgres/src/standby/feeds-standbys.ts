import type { ServerFacts } from "../facts/server-facts.ts";
import { configurationFindings } from "../preflight/configuration.ts";
import { refusal } from "../preflight.ts";

const IN_THE_WAY = new Set(["version-unsupported", "wal-level-minimal"]);

/**
 * Refuses a server of which no standby can be made, by the words of `doctor`.
 * @throws LifeboatError `WAL_LEVEL_MINIMAL`, `VERSION_UNSUPPORTED`
 */
export function assertFeedsStandbys(server: ServerFacts): void {
  const refused = refusal(configurationFindings(server).filter(({ id }) => IN_THE_WAY.has(id)));
  if (refused) throw refused;
}
