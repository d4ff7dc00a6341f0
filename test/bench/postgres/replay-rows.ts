import { chown, cp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Server } from "@lifeboat/postgres";
import { execa } from "execa";
import { comparedRow, type Row } from "../table.ts";
import type { BenchRequest } from "../workplace.ts";
import { archiveCommands } from "./archive-commands.ts";
import type { BenchCluster } from "./bench-cluster.ts";
import type { PgBackRest } from "./pgbackrest.ts";
import { archiveAll, fillSegments } from "./wal-load.ts";

const REDO = /^LOG: {2}redo done at .* elapsed: ([\d.]+) s$/;

/** Recovery over the same WAL: fetched by us, fetched by pgBackRest, and lying in pg_wal already. */
export async function replayRows(
  bench: BenchCluster,
  peer: PgBackRest | undefined,
  { runs, small }: BenchRequest,
): Promise<Row[]> {
  const { command, folder } = bench;
  const commands = await archiveCommands(bench, peer);
  const all = [commands.plain, commands.lifeboat, commands.pgBackRest].filter(Boolean).join(" && ");
  await bench.archiveBy(all);
  await command.json("backup --wal stream");
  if (peer) await execa("bash", ["-c", peer.backup]);
  await fillSegments(bench, small ? 8 : 100);
  await archiveAll(bench, all);
  const place = await folder("replayed");
  const empty = async () => {
    for (const name of await readdir(place)) await rm(join(place, name), { recursive: true });
  };
  const ours = async () => {
    await empty();
    await command.json(`restore --to ${place}`);
  };
  const redo = { fetched: [] as number[], floor: [] as number[], pgBackRest: [] as number[] };
  for (let run = 0; run < runs; run++) {
    await ours();
    redo.fetched.push(await redoSeconds(bench, place));
    await ours();
    await layWal(bench, commands.plainFolder, place);
    redo.floor.push(await redoSeconds(bench, place, { restore_command: "false" }));
    if (!peer) continue;
    await empty();
    await execa("bash", ["-c", peer.restore(place)]);
    redo.pgBackRest.push(await redoSeconds(bench, place));
  }
  const row = (peerName: string, theirs: number[], atLeast: number) =>
    comparedRow({
      what: "replay by `wal fetch`, speed",
      ours: redo.fetched,
      peer: peerName,
      theirs,
      unit: "s",
      target: { atLeast },
      inverse: true,
    });
  const floor = row("WAL in pg_wal already", redo.floor, 0.6);
  if (!peer) return [floor];
  return [row("pgBackRest, asynchronous, process-max 2", redo.pgBackRest, 1), floor];
}

/** Starts a restored data directory and takes the time of its recovery from the server's own log. */
async function redoSeconds(
  { cluster }: BenchCluster,
  dataDirectory: string,
  settings: Record<string, string> = {},
): Promise<number> {
  const { programs, account } = cluster;
  const server = await Server.start({
    ...{ programs, account, dataDirectory },
    settings: { archive_mode: "off", shared_buffers: "512MB", ...settings },
  });
  let seconds: number | undefined;
  server.log.onLine((line) => {
    const found = REDO.exec(line)?.[1];
    if (found !== undefined) seconds = Number(found);
  });
  try {
    while (seconds === undefined && server.running) await sleep(20);
    if (seconds === undefined) throw new Error(`no recovery: ${server.log.reason()}`);
    await server.accepting("postgres");
    return seconds;
  } finally {
    await server.stop("immediate");
  }
}

async function layWal({ cluster }: BenchCluster, from: string, to: string): Promise<void> {
  const { account } = cluster;
  for (const name of await readdir(from)) {
    const file = join(to, "pg_wal", name);
    await cp(join(from, name), file);
    if (account.foreign) await chown(file, account.uid, account.gid);
  }
}
