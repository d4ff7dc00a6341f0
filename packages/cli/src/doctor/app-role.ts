import { type Finding, LifeboatError } from "@lifeboat/core";
import type { AppRights } from "@lifeboat/migrate";
import type { Session } from "../session.ts";

/** Whether the product's own role may use in Postgres what is, or will be, loaded there; before its move, whether it is known at all. */
export async function examineAppRole(session: Session): Promise<Finding[]> {
  const { sqlite, postgres, migrate } = await session.configuration();
  if (!postgres || sqlite.length === 0 || session.global.engine === "sqlite") return [];
  const hasMoved = await livesInPostgres(session);
  const { appRole: role, schema = "public" } = migrate;
  if (role === undefined) return hasMoved ? [] : [unknown()];
  const { askAppRights } = await import("@lifeboat/migrate");
  try {
    const rights = await askAppRights({ url: postgres.url }, { role, schema }, session.signal);
    // Once a migration is finished nobody knows any more which tables are the product's.
    return hasMoved && !rights.loaded ? [] : await findingOf(rights);
  } catch (thrown) {
    // A server that can't be reached was named by its engine's own inspection.
    if (thrown instanceof LifeboatError) return [];
    throw thrown;
  }
}

async function livesInPostgres(session: Session): Promise<boolean> {
  try {
    return (await session.live()) === "postgres";
  } catch (thrown) {
    // A repository that can't be read is a finding already, and no reason to ask no further.
    if (thrown instanceof LifeboatError) return false;
    throw thrown;
  }
}

function unknown(): Finding {
  return {
    id: "app-role-unknown",
    severity: "info",
    summary:
      "the product's own role in Postgres is not known: nobody looks whether it may use the tables that a load makes, which belong to the role of postgres.url",
    remedy: "name it by migrate.appRole, also where it is the same",
  };
}

/** Before a load there is time; what was loaded is one step from the product. */
async function findingOf(rights: AppRights): Promise<Finding[]> {
  const { rightsInWords } = await import("@lifeboat/migrate");
  const words = rightsInWords(rights);
  if (words === null) return [];
  if (words.id === "app-role-sequences") return [{ ...words, severity: "info" }];
  return [{ ...words, severity: rights.loaded ? "error" : "warning" }];
}
