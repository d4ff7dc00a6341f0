import { LifeboatError } from "@lifeboat/core";
import { resolveConfiguration } from "../src/config/resolve.ts";

export const PLACE = {
  source: "lifeboat.config.json",
  file: "/etc/app/lifeboat.config.json",
  directory: "/etc/app",
};

/** With all that most products name. */
export const COMPLETE = {
  app: "documint",
  repository: { type: "filesystem", path: "/var/backups/lifeboat" },
  sqlite: { path: "/srv/documint/app.db" },
  postgres: {
    url: "postgres://lifeboat@127.0.0.1:5432/documint",
    dataDirectory: "/var/lib/postgresql/15/main",
    binDirectory: "/usr/lib/postgresql/15/bin",
  },
  compression: { level: 5, wal: 1 },
  archive: { mode: "command" },
  drill: { checks: [{ name: "has invoices", sql: "select count(*) > 0 from invoices" }] },
};

/** Why a configuration is refused. */
export function failureOf(value: unknown): LifeboatError {
  try {
    resolveConfiguration(value, PLACE);
  } catch (thrown) {
    if (thrown instanceof LifeboatError) return thrown;
    throw thrown;
  }
  throw new Error("was accepted");
}
