import type { GateFinding } from "../cutover/gates.ts";
import { finding, type MigrationFinding } from "../finding.ts";
import type { AppRights } from "./app-rights.ts";

/** What is to be told of the product's role; nothing where it may do all that it does. */
export interface RightsInWords {
  readonly id: "app-role-missing" | "app-role-rights" | "app-role-sequences";
  readonly summary: string;
  /** What to do, with the statements. */
  readonly remedy: string;
}

export function rightsInWords(rights: AppRights): RightsInWords | null {
  const { role, exists, loaded, lacking, sequences, grants } = rights;
  const who = loaded ? "as the owner of the tables or a superuser" : "before the load";
  const remedy = `${who}: ${grants.join("; ")}`;
  const whose = `role ${role} (migrate.appRole)`;
  const lacks = (what: string) =>
    loaded ? `${whose} lacks ${what}` : `after a load ${whose} would lack ${what}`;
  if (!exists)
    return {
      id: "app-role-missing",
      summary: `${whose} is not there in Postgres`,
      remedy: `as a superuser: ${grants.join("; ")}; or set migrate.appRole right`,
    };
  if (lacking.length > 0)
    return {
      id: "app-role-rights",
      summary: lacks(lacking.join("; ")),
      remedy,
    };
  if (sequences.length === 0) return null;
  return {
    id: "app-role-sequences",
    summary: lacks(
      `the right to ask sequences by name (${sequences.join(", ")}), which identities don't need`,
    ),
    remedy,
  };
}

/** Whether the product would fail at its first statement after the switch. */
export function rightsGate(rights: AppRights): GateFinding {
  const words = rightsInWords(rights);
  const ok = rights.exists && rights.lacking.length === 0;
  return {
    ok,
    message: words?.summary ?? `role ${rights.role} may use all that the product uses`,
    remedy: ok ? "" : (words?.remedy ?? ""),
  };
}

/** The same for a plan, whose data it does not concern: a warning, with the statements to be read and run. */
export function rightsFindings(rights: AppRights): MigrationFinding[] {
  const words = rightsInWords(rights);
  if (words === null) return [];
  const { id, summary } = words;
  const severity = id === "app-role-sequences" ? "info" : "warning";
  return [finding({ id, severity, summary, proposal: `${rights.grants.join(";\n")};\n` })];
}
