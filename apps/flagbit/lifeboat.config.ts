import { defineConfig } from "lifeboat";
import { schema } from "./src/schema.ts";
import { trafficProgram } from "./src/traffic-program.ts";

const {
  FLAGBIT_SQLITE,
  FLAGBIT_POSTGRES_URL,
  FLAGBIT_POSTGRES_DATA,
  FLAGBIT_POSTGRES_BIN,
  FLAGBIT_POSTGRES_ROLE,
} = process.env;

// A database whose variable is not set is not there: before, during and after the move to Postgres. One is needed.
export default defineConfig({
  app: "flagbit",
  repository: { type: "filesystem", path: { env: "FLAGBIT_REPOSITORY" } },
  ...((FLAGBIT_SQLITE || !FLAGBIT_POSTGRES_URL) && {
    sqlite: { name: "flagbit", path: { env: "FLAGBIT_SQLITE" } },
  }),
  ...(FLAGBIT_POSTGRES_URL && {
    postgres: {
      url: FLAGBIT_POSTGRES_URL,
      ...(FLAGBIT_POSTGRES_DATA && { dataDirectory: FLAGBIT_POSTGRES_DATA }),
      ...(FLAGBIT_POSTGRES_BIN && { binDirectory: FLAGBIT_POSTGRES_BIN }),
    },
  }),
  drill: { checks: () => import("./src/checks.ts") },
  traffic: { program: trafficProgram },
  schema,
  migrate: { ...(FLAGBIT_POSTGRES_ROLE && { appRole: FLAGBIT_POSTGRES_ROLE }) },
});
