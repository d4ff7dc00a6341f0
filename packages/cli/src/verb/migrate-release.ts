import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { LifeboatError } from "@lifeboat/core/errors";
import type { Session } from "../session.ts";
import { usage } from "../usage.ts";
import type { Verb } from "../verb.ts";

export const migrateReleaseVerb: Verb = {
  name: "migrate release",
  summary: "take out of a restored copy of SQLite what a migration had made in it by then",
  arguments: [{ name: "<file>", help: "the copy; never the product's own database" }],
  options: [],
  examples: [
    [
      "migrate release /srv/restored/app.db",
      "a copy of the time of a move takes writes again, and logs them no more",
    ],
  ],
  async run({ arguments: [name = ""] }, session) {
    const path = resolve(name);
    await assertCopy(path, session);
    const { releaseCopy } = await import("@lifeboat/migrate");
    const left = releaseCopy(path);
    const document = { phase: "release", file: path, released: left !== null };
    const words =
      left === null ? "nothing of a migration is in it" : "nothing of a migration is left in it";
    return { document, show: () => `${path}: ${words}\n` };
  },
};

async function assertCopy(path: string, session: Session): Promise<void> {
  const copy = await stat(path).catch(() => undefined);
  if (!copy) throw usage(`there is no file ${path}`, "name the copy that was restored");
  const own = session.isByRepository ? [] : (await session.configuration()).sqlite;
  for (const { path: ownPath } of own) {
    const file = await stat(ownPath).catch(() => undefined);
    if (file?.ino !== copy.ino || file.dev !== copy.dev) continue;
    throw new LifeboatError({
      code: "NOT_A_COPY",
      kind: "refused",
      message: `${path} is the product's own database: its migration would lose what is written there`,
      remedy: `${session.program} migrate status says what ends the migration`,
      details: { path },
    });
  }
}
