import { join } from "node:path";
import { drill, LifeboatError } from "@lifeboat/core";
import { sqliteEngine } from "@lifeboat/sqlite";
import { expect, test } from "vitest";
import { makeLedger, testFolder } from "../support/sqlite.ts";
import { SqliteApp } from "../support/sqlite-repository.ts";

test.each(["NO_SPACE", "TARGET_FULL"])(
  "is told where its copy goes, not to restore to another disk: %s",
  async (code) => {
    const folder = await testFolder();
    makeLedger(join(folder, "app.db"));
    const app = new SqliteApp(folder, join(folder, "app.db"));
    await app.backup();
    const repository = await app.repository();
    const full = { message: "no room", remedy: "restore to another disk", details: { path: "p" } };
    const engine = {
      ...sqliteEngine({ databases: [] }),
      restore: () => Promise.reject(new LifeboatError({ code, ...full })),
    };
    const drilling = drill({
      ...{ repository, engines: [engine], target: { kind: "latest" }, checks: () => [] },
      ...{ keep: false, signal: new AbortController().signal },
    });
    const { message, details } = full;
    await expect(drilling).rejects.toMatchObject({ code, message, details });
    await expect(drilling).rejects.toMatchObject({
      remedy: expect.stringMatching(/^set TMPDIR to a directory .* room/),
    });
    expect((await repository.drills()).records).toMatchObject([{ ok: false }]);
  },
);
