import { openPostgres, type Session } from "@lifeboat/traffic";
import type { DemoServer } from "./demo-server.ts";

/** Connects to the product's database, as its administrator would. */
export function openDatabase(server: DemoServer): Promise<Session> {
  const url = new URL(server.url);
  url.password = server.environment.PGPASSWORD ?? "";
  return openPostgres(url.href);
}
