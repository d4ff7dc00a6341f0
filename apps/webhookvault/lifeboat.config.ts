import { defineConfig } from "lifeboat";
import { schema } from "./src/schema.ts";
import { trafficProgram } from "./src/traffic-program.ts";

const {
  WEBHOOKVAULT_SQLITE,
  WEBHOOKVAULT_POSTGRES_URL,
  WEBHOOKVAULT_POSTGRES_DATA,
  WEBHOOKVAULT_POSTGRES_BIN,
  WEBHOOKVAULT_POSTGRES_ROLE,
} = process.env;

// A database whose variable is not set is not there: before, during and after the move to Postgres. One is needed.
export default defineConfig({
  app: "webhookvault",
  repository: { type: "filesystem", path: { env: "WEBHOOKVAULT_REPOSITORY" } },
  ...((WEBHOOKVAULT_SQLITE || !WEBHOOKVAULT_POSTGRES_URL) && {
    sqlite: { name: "webhookvault", path: { env: "WEBHOOKVAULT_SQLITE" } },
  }),
  ...(WEBHOOKVAULT_POSTGRES_URL && {
    postgres: {
      url: WEBHOOKVAULT_POSTGRES_URL,
      ...(WEBHOOKVAULT_POSTGRES_DATA && { dataDirectory: WEBHOOKVAULT_POSTGRES_DATA }),
      ...(WEBHOOKVAULT_POSTGRES_BIN && { binDirectory: WEBHOOKVAULT_POSTGRES_BIN }),
    },
  }),
  drill: { checks: () => import("./src/checks.ts") },
  traffic: { program: trafficProgram },
  schema,
  // Users answer with any bytes, NUL and broken UTF-8 among them, which a Postgres text refuses.
  migrate: {
    ...(WEBHOOKVAULT_POSTGRES_ROLE && { appRole: WEBHOOKVAULT_POSTGRES_ROLE }),
    columns: { "endpoints.response_body": { type: "bytea", codec: "text-bytes" } },
  },
});
