import { LifeboatError } from "@lifeboat/core";
import type { Client } from "pg";
import { capturedFor } from "../capture/install-capture.ts";
import { removeTraces } from "../freeze.ts";
import type { LiveSource } from "../live-source.ts";
import { newestEntry } from "../target/journal.ts";

/**
 * Takes away what a load left in SQLite that was killed; before the plan is made, which notes the schema's version.
 * @throws LifeboatError `CAPTURED_BY_ANOTHER` (refused)
 */
export async function removeLeftCapture(source: LiveSource, client: Client): Promise<void> {
  const owner = capturedFor(source.db);
  if (owner === null) return;
  const entry = await newestEntry(client);
  if (entry?.id !== owner || entry.phase !== "loading")
    throw new LifeboatError({
      code: "CAPTURED_BY_ANOTHER",
      kind: "refused",
      message: `${source.path} is captured by migration ${owner}, which is no load that was broken off in this target`,
      remedy:
        "end that one first: lifeboat migrate abort, which also takes its triggers out of SQLite",
      details: { migration: owner },
    });
  source.write(() => removeTraces(source.db));
}
