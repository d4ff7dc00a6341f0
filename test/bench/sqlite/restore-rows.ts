import { rm } from "node:fs/promises";
import { inTurn } from "../measure.ts";
import { comparedRow, type Row, valueRow } from "../table.ts";
import type { BenchRequest } from "../workplace.ts";
import type { Subject } from "./backup-rows.ts";

/** A base alone, against reading and unpacking the stored bytes. */
export async function baseRestoreRows(subject: Subject, request: BenchRequest): Promise<Row[]> {
  const { name, command } = subject;
  const { id } = await command.json<{ id: string }>("backup");
  const to = request.workplace.at("restored");
  const raw = request.workplace.at("raw.db");
  const stored = `${command.repository}/bench/sqlite/${subject.database}/backups/${id}/${subject.database}.db.zst`;
  const [ours, unchecked, plain] = await inTurn(
    [
      {
        name: "lifeboat restore",
        command: `${command.line} restore --quiet --backup ${id} --to ${to}`,
        before: () => rm(to, { recursive: true, force: true }),
      },
      {
        name: "lifeboat restore --skip-check",
        command: `${command.line} restore --quiet --skip-check --backup ${id} --to ${to}`,
        before: () => rm(to, { recursive: true, force: true }),
      },
      {
        name: "zstd -d",
        command: `zstd -dqf ${stored} -o ${raw} && sync ${raw}`,
        before: () => rm(raw, { force: true }),
      },
    ],
    request.runs,
  );
  return [
    comparedRow({
      what: `${name}: restore of a base, digests checked`,
      ours: unchecked.map(({ seconds }) => seconds),
      peer: "`zstd -d`, fsync",
      theirs: plain.map(({ seconds }) => seconds),
      unit: "s",
      target: { atMost: 1.5 },
    }),
    comparedRow({
      what: `${name}: restore of a base, and SQLite's integrity_check, which the peer has none of`,
      ours: ours.map(({ seconds }) => seconds),
      peer: "`zstd -d`, fsync",
      theirs: plain.map(({ seconds }) => seconds),
      unit: "s",
    }),
    valueRow({
      // The check maps the copy: its pages in the page cache would count as memory of the process.
      what: `${name}: restore without that, peak memory`,
      values: unchecked.map(({ peakMb }) => peakMb),
      unit: "MB",
      target: { atMost: 300, worst: true },
    }),
  ];
}

/** A base with the log upon it, and the same by Litestream. The log was shipped by now. */
export async function logRestoreRows(
  subject: Subject,
  request: BenchRequest,
  shipped: { readonly walBytes: number; readonly base: string; readonly at: string },
): Promise<Row[]> {
  const { name, command, litestream } = subject;
  const to = request.workplace.at("restored");
  const theirs = request.workplace.at("litestream-restored.db");
  const emptied = () => rm(to, { recursive: true, force: true });
  const restore = `${command.line} restore --quiet --to ${to}`;
  const [latest, checked, instant, base, litestreams] = await inTurn(
    [
      { name: "restore latest", command: `${restore} --skip-check`, before: emptied },
      { name: "restore latest, checked", command: restore, before: emptied },
      { name: "restore --at", command: `${restore} --at ${shipped.at}`, before: emptied },
      {
        name: "restore --backup",
        command: `${restore} --skip-check --backup ${shipped.base}`,
        before: emptied,
      },
      {
        name: "litestream restore",
        command: litestream ? litestream.restoreCommand(theirs) : "true",
        before: () => rm(theirs, { force: true }),
      },
    ],
    request.runs,
  );
  const seconds = (side: typeof latest) => side.map((each) => each.seconds);
  const applied = latest.map(
    (each, run) => shipped.walBytes / 1e6 / (each.seconds - (base[run]?.seconds ?? 0)),
  );
  const rows = [
    valueRow({
      what: `${name}: log applied by a restore, beyond the base`,
      values: applied,
      unit: "MB/s",
      target: { atLeast: 300 },
      against: `${(shipped.walBytes / 1e6).toFixed(0)} MB of frames`,
    }),
    valueRow({ what: `${name}: restore to an instant`, values: seconds(instant), unit: "s" }),
  ];
  if (!litestream) return rows;
  return [
    ...rows,
    comparedRow({
      what: `${name}: restore of the latest state, digests checked`,
      ours: seconds(latest),
      peer: "Litestream",
      theirs: seconds(litestreams),
      unit: "s",
      target: { atMost: 1 },
    }),
    comparedRow({
      what: `${name}: the same and SQLite's integrity_check, which Litestream has none of`,
      ours: seconds(checked),
      peer: "Litestream",
      theirs: seconds(litestreams),
      unit: "s",
    }),
    comparedRow({
      what: `${name}: restore of the latest state, CPU`,
      ours: latest.map(({ cpuSeconds }) => cpuSeconds),
      peer: "Litestream",
      theirs: litestreams.map(({ cpuSeconds }) => cpuSeconds),
      unit: "s",
      target: { atMost: 1 },
    }),
  ];
}
