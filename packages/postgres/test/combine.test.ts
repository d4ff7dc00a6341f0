import { join } from "node:path";
import { expect, test } from "vitest";
import { combinableMajors, ownedFolder, startCluster } from "../../../test/support/postgres.ts";
import { Sites } from "../src/places/restore-sites.ts";
import { combineBackups, combineProgram } from "../src/restore/combine.ts";

const [major] = await combinableMajors();

test.runIf(major)(
  "what pg_combinebackup refuses ends a restore in its own words, whatever it has left behind",
  async () => {
    const cluster = await startCluster({ ...(major && { major }) });
    try {
      const { account, dataDirectory, programs } = cluster;
      const dataPlace = join(await ownedFolder(account), "whole");
      const output = await Sites.open(
        { dataDirectory: dataPlace, tablespaces: [], replaced: [], major: 18 },
        account,
      );
      // A data directory that is no backup.
      const input = { data: { path: dataDirectory, place: dataDirectory }, tablespaces: [] };
      const combined = combineBackups({
        programs: await combineProgram(programs.directory, programs.major),
        account,
        inputs: [input, input] as unknown as Sites[],
        output,
        backups: [],
        signal: new AbortController().signal,
      });
      await expect(combined).rejects.toMatchObject({
        code: "COMBINE_FAILED",
        message: expect.stringContaining("backup_label"),
      });
      await output.discard();
    } finally {
      await cluster.stop();
    }
  },
);
