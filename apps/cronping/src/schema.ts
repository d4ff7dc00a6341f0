/** The drizzle schemas, imported when asked for: drizzle costs most of a second, and most verbs need none. */
export const schema = {
  sqlite: () => import("./schema/sqlite.ts"),
  postgres: () => import("./schema/postgres.ts"),
};
