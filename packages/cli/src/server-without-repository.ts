import { LifeboatError } from "@lifeboat/core";
import type { Session } from "./session.ts";

/**
 * A repository that can't be opened, told with what the server alone says: a slot that fills its disk, or has lost its WAL, is no less
 * urgent when the backups can't be asked.
 */
export async function withServerSide(session: Session, thrown: unknown): Promise<unknown> {
  const isWanted = thrown instanceof LifeboatError && thrown.kind === "failed";
  if (!isWanted || session.isByRepository || session.global.engine === "sqlite") return thrown;
  const configuration = await session.configuration();
  if (!configuration.engines.includes("postgres")) return thrown;
  const { engineOf } = await import("./config/engine.ts");
  const server = await engineOf("postgres", configuration).status(null, null);
  const { code, kind, details } = thrown;
  if (server.alerts.length === 0) return thrown;
  const told = (of: "summary" | "remedy") => server.alerts.map((alert) => alert[of]).join("; ");
  return new LifeboatError({
    ...{ code, kind, cause: thrown },
    message: `${thrown.message}; of the server alone: ${told("summary")}`,
    remedy: `${thrown.remedy}; ${told("remedy")}`,
    details: { ...details, server },
  });
}
