import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "../workplace.ts";

/** What a backup's manifest says of the time that its database was held. */
export interface HeldFor {
  readonly heldMilliseconds: number;
  readonly copySeconds: number;
}

/** Reads the manifest of the backup that `backup --json` reported. */
export async function heldFor(command: Command, name: string, report: string): Promise<HeldFor> {
  const { id } = JSON.parse(report) as { id: string };
  const file = join(command.repository, "bench", "sqlite", name, "backups", id, "manifest.json");
  return (JSON.parse(await readFile(file, "utf8")) as { details: HeldFor }).details;
}
