import { defineConfig } from "lifeboat";
import { schema } from "./src/schema.ts";
import { trafficProgram } from "./src/traffic-program.ts";

const {
  DOCUMINT_SQLITE,
  DOCUMINT_POSTGRES_URL,
  DOCUMINT_POSTGRES_DATA,
  DOCUMINT_POSTGRES_BIN,
  DOCUMINT_POSTGRES_ROLE,
} = process.env;

// A database whose variable is not set is not there: before, during and after the move to Postgres. One is needed.
export default defineConfig({
  app: "documint",
  repository: { type: "filesystem", path: { env: "DOCUMINT_REPOSITORY" } },
  ...((DOCUMINT_SQLITE || !DOCUMINT_POSTGRES_URL) && {
    sqlite: { name: "documint", path: { env: "DOCUMINT_SQLITE" } },
  }),
  ...(DOCUMINT_POSTGRES_URL && {
    postgres: {
      url: DOCUMINT_POSTGRES_URL,
      ...(DOCUMINT_POSTGRES_DATA && { dataDirectory: DOCUMINT_POSTGRES_DATA }),
      ...(DOCUMINT_POSTGRES_BIN && { binDirectory: DOCUMINT_POSTGRES_BIN }),
    },
  }),
  drill: { checks: () => import("./src/checks.ts") },
  traffic: { program: trafficProgram },
  schema,
  migrate: { ...(DOCUMINT_POSTGRES_ROLE && { appRole: DOCUMINT_POSTGRES_ROLE }) },
});
