import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { availableMajors, startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import { incrementalFailure } from "../src/basebackup/incremental-failure.ts";
import { wireTransport } from "../src/basebackup/wire.ts";
import { withClient } from "../src/connection/connection.ts";
import { describeServer } from "../src/facts/server-facts.ts";
import { PackedBytes } from "../src/packed/bytes.ts";

const refused = (message: string, routine = "PrepareForIncrementalBackup", code = "55000") =>
  incrementalFailure(Object.assign(new Error(message), { code, routine }))?.code;

test("why no incremental backup can be taken is understood in every language", () => {
  const noSummaries = [
    "WAL summaries are required on timeline 1 from 0/100 to 0/6000028, but no summaries for that timeline and LSN range exist",
    "WAL-Zusammenfassungen auf Zeitleiste 1 von 0/100 bis 0/6000028 werden benötigt, aber für diese Zeitleiste und diesen LSN-Bereich existieren keine Zusammenfassungen.",
    "WAL集計がタイムライン1上の0/100から0/6000028まで必要ですが、そのタイムライン上のそのLSN範囲での集計は不完全です",
  ];
  for (const said of noSummaries) expect(refused(said)).toBe("WAL_SUMMARIES_MISSING");
  const ahead = [
    "manifest requires WAL from final timeline 1 ending at 9/2000120, but this backup starts at 0/5000028",
    "Manifest benötigt WAL aus der finalen Zeitleiste 1 endend bei 9/2000120, aber dieses Backup startet bei 0/5000028",
    "manifest requires WAL from initial timeline 2 starting at 0/3000028, but that timeline begins at 0/5000028",
  ];
  for (const said of ahead) expect(refused(said)).toBe("INCREMENTAL_PARENT_NEWER");
  const foreign = [
    "timeline 7 found in manifest, but not in this server's history",
    "Zeitleiste 7 wurde im Manifest gefunden, aber nicht in der History dieses Servers",
  ];
  for (const said of foreign) expect(refused(said)).toBe("INCREMENTAL_PARENT_FOREIGN");
  const halted = "WAL-Zusammenfassung kommt nicht voran";
  expect(refused(halted, "WaitForWalSummarization")).toBe("WAL_SUMMARIES_MISSING");
  const off =
    "inkrementelle Backups können nicht durchgeführt werden, wenn WAL-Zusammenfassung nicht eingeschaltet ist";
  expect(refused(off, "parse_basebackup_options")).toBe("WAL_SUMMARIES_OFF");
  // A failure of another kind.
  expect(refused("Syntaxfehler", "parse_basebackup_options", "42601")).toBeUndefined();
});

describe.each((await availableMajors()).filter((major) => major >= 17))(
  "a server of version %i",
  (major) => {
    let cluster: TestCluster;
    beforeAll(async () => {
      cluster = await startCluster({ major, settings: { summarize_wal: "on" } });
    });
    afterAll(() => cluster?.stop());

    test("that refuses the manifest of another cluster ends the backup, with the reason", async () => {
      const connection = { url: cluster.superuserUrl };
      const server = await withClient(connection, describeServer);
      const take = (parentManifest: PackedBytes | null) =>
        wireTransport.takeBaseBackup({
          ...{ connection, server, parentManifest, label: "a", maxRate: null, jobs: 1 },
          archive: async ({ content }) => {
            for await (const _ of content);
          },
          report: () => {},
          signal: new AbortController().signal,
        });
      const { manifest } = await take(null);
      await expect(take(ofAnotherCluster(manifest))).rejects.toMatchObject({
        code: "INCREMENTAL_PARENT_FOREIGN",
        message: expect.stringContaining("system identifier"),
      });
    });
  },
);

function ofAnotherCluster(manifest: PackedBytes): PackedBytes {
  const text = manifest.whole().toString();
  const end = text.lastIndexOf('"Manifest-Checksum"');
  const body = text.slice(0, end).replace(/(?<key>"System-Identifier": )\d+/, "$<key>12345");
  const sum = createHash("sha256").update(body).digest("hex");
  return PackedBytes.of(Buffer.from(`${body}"Manifest-Checksum": "${sum}"}\n`));
}
