import { open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { inTurn, type Measured } from "../measure.ts";
import { comparedRow, missingRow, type Row, valueRow } from "../table.ts";
import type { BenchRequest } from "../workplace.ts";
import type { BenchCluster } from "./bench-cluster.ts";
import type { PgBackRest } from "./pgbackrest.ts";

/**
 * Restore into an empty directory, and over one of which a part has changed; of a backup that as many workers made as its
 * peer's, in as many archives, and of one that came as one stream.
 */
export async function restoreRows(
  { command, folder }: BenchCluster,
  peer: PgBackRest | undefined,
  { runs }: BenchRequest,
): Promise<Row[]> {
  if (peer) await execa("bash", ["-c", peer.backup]);
  const streamed = await command.json<{ id: string }>("backup --wal stream --transport wire");
  await command.json("backup --wal stream --transport parallel --jobs 2");
  const to = await folder("restored");
  const theirs = await folder("restored-by-pgbackrest");
  const restore = `${command.line} restore --quiet --to ${to}`;
  const emptied = (directory: string) => async () => {
    for (const name of await readdir(directory))
      await rm(join(directory, name), { recursive: true });
  };
  const [full, unchecked, ofOneStream, others] = await inTurn(
    [
      { name: "restore", command: restore, before: emptied(to) },
      { name: "restore --skip-check", command: `${restore} --skip-check`, before: emptied(to) },
      {
        name: "restore --skip-check of one stream",
        command: `${restore} --skip-check --backup ${streamed.id}`,
        before: emptied(to),
      },
      {
        name: "pgbackrest restore",
        command: peer?.restore(theirs) ?? "true",
        before: emptied(theirs),
      },
    ],
    runs,
  );
  const seconds = (side: Measured[]) => side.map((each) => each.seconds);
  const rows = [
    valueRow({
      what: "restore, peak memory",
      values: full.map(({ peakMb }) => peakMb),
      unit: "MB",
      target: { atMost: 300, worst: true },
    }),
  ];
  if (peer)
    rows.unshift(
      comparedRow({
        what: "restore, without pg_verifybackup as its peer",
        ours: seconds(unchecked),
        peer: "pgBackRest, process-max 2",
        theirs: seconds(others),
        unit: "s",
        target: { atMost: 1 },
      }),
      comparedRow({
        what: "restore",
        ours: seconds(full),
        peer: "pgBackRest, process-max 2",
        theirs: seconds(others),
        unit: "s",
      }),
      comparedRow({
        what: "restore of a backup in one stream, without pg_verifybackup",
        ours: seconds(ofOneStream),
        peer: "pgBackRest, process-max 2",
        theirs: seconds(others),
        unit: "s",
      }),
    );
  if (!(await command.knows(`restore --to ${to} --delta`)))
    return [...rows, missingRow("delta restore", "not available")];
  const [delta, othersDelta] = await inTurn(
    [
      {
        name: "restore --delta",
        command: `${restore} --delta`,
        before: () => changeOnePercent(to),
      },
      {
        name: "pgbackrest restore --delta",
        command: peer?.restore(theirs, "--delta") ?? "true",
        before: async () => {
          if (peer) await changeOnePercent(theirs);
        },
      },
    ],
    runs,
  );
  if (peer)
    rows.push(
      comparedRow({
        what: "delta restore, 1 % of the pages changed",
        ours: seconds(delta),
        peer: "pgBackRest --delta, process-max 2",
        theirs: seconds(othersDelta),
        unit: "s",
      }),
    );
  return [
    ...rows,
    comparedRow({
      what: "delta restore, 1 % of the pages changed",
      ours: seconds(delta),
      peer: "the full restore",
      theirs: seconds(full),
      unit: "s",
      target: { atMost: 0.4 },
    }),
  ];
}

/** Overwrites a hundredth of the largest file, in one run. */
async function changeOnePercent(directory: string): Promise<void> {
  let largest = { path: "", size: 0 };
  for (const entry of await readdir(join(directory, "base"), { recursive: true })) {
    const path = join(directory, "base", entry);
    const { size } = await stat(path);
    if (size > largest.size) largest = { path, size };
  }
  const file = await open(largest.path, "r+");
  try {
    const changed = Buffer.alloc(Math.ceil(largest.size / 100), "changed ");
    await file.write(changed, 0, changed.length, Math.floor(largest.size / 3));
  } finally {
    await file.close();
  }
}
