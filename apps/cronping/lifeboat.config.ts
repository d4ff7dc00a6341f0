import { defineConfig } from "lifeboat";
import { schema } from "./src/schema.ts";
import { trafficProgram } from "./src/traffic-program.ts";

const {
  CRONPING_SQLITE,
  CRONPING_POSTGRES_URL,
  CRONPING_POSTGRES_DATA,
  CRONPING_POSTGRES_BIN,
  CRONPING_POSTGRES_ROLE,
} = process.env;

// A database whose variable is not set is not there: before, during and after the move to Postgres. One is needed.
export default defineConfig({
  app: "cronping",
  repository: { type: "filesystem", path: { env: "CRONPING_REPOSITORY" } },
  ...((CRONPING_SQLITE || !CRONPING_POSTGRES_URL) && {
    sqlite: { name: "cronping", path: { env: "CRONPING_SQLITE" } },
  }),
  ...(CRONPING_POSTGRES_URL && {
    postgres: {
      url: CRONPING_POSTGRES_URL,
      ...(CRONPING_POSTGRES_DATA && { dataDirectory: CRONPING_POSTGRES_DATA }),
      ...(CRONPING_POSTGRES_BIN && { binDirectory: CRONPING_POSTGRES_BIN }),
    },
  }),
  drill: { checks: () => import("./src/checks.ts") },
  traffic: { program: trafficProgram },
  schema,
  // Notifications of channels that are gone: kept, and the key holds for every row from now on.
  migrate: {
    ...(CRONPING_POSTGRES_ROLE && { appRole: CRONPING_POSTGRES_ROLE }),
    columns: { "notifications.channel_id": { constraint: "not-valid" } },
  },
});
