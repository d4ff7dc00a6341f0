import type { SnapshotOptions } from "@lifeboat/core";
import { giveWay } from "../give-way.ts";
import { parseCount, parseSize } from "../option-values.ts";
import type { Verb } from "../verb.ts";

export const backupVerb: Verb = {
  name: "backup",
  summary: "back up the live database into the repository",
  options: [
    {
      flags: "--type <type>",
      help: "full when left out; incremental: what changed since the newest backup (Postgres: 17 and newer)",
      values: ["full", "incremental"],
    },
    {
      flags: "--transport <transport>",
      help: "how a Postgres base backup is read; auto when left out",
      values: ["auto", "pg_basebackup", "wire", "parallel"],
    },
    {
      flags: "--wal <way>",
      help: "how Postgres' WAL for consistency gets into the repository",
      values: ["stream", "archive"],
    },
    {
      flags: "--jobs <n>",
      help: "how many workers read a Postgres cluster at once (--transport parallel)",
      parse: parseCount,
    },
    {
      flags: "--max-rate <rate>",
      help: "bytes a second that are read at most, such as 20M; auto: half of what is to be had; adaptive: less when commits on the primary get slower",
      parse: parseRate,
    },
    { flags: "--label <text>", help: "a note that list shows", mayBeEmpty: true },
    { flags: "--check", help: "refuse a SQLite database that fails quick_check" },
  ],
  examples: [
    ["backup", "the live database, as lifeboat.config.ts names it"],
    ["backup --engine postgres --jobs 4", "by four workers, each reading files of its own"],
    ["backup --engine postgres --max-rate 20M --label before-upgrade", "gently, and with a note"],
  ],
  async run({ options }, session) {
    // What is asked for is that the product notices as little as can be.
    if (options.maxRate === "adaptive") giveWay();
    const engine = await session.liveEngine();
    const snapshot = snapshotOptions(options);
    // Before a repository is made, and a lock taken, for a backup that can't be.
    await engine.refuseOptions(snapshot);
    await engine.warmUp?.();
    const repository = await session.openRepository("write");
    const { backup } = await import("../operations.ts");
    const { signal, run } = session;
    const report = await backup({
      repository,
      engine,
      type: options.type === "incremental" ? "incremental" : "full",
      options: snapshot,
      signal,
      run,
    });
    return {
      document: report,
      show: async () => (await import("../show/backup.ts")).showBackup(report, session.commandLine),
    };
  },
};

function parseRate(text: string): SnapshotOptions["maxRate"] {
  return text === "auto" || text === "adaptive" ? text : parseSize(text);
}

function snapshotOptions(options: Readonly<Record<string, unknown>>): SnapshotOptions {
  const { transport, wal, jobs, maxRate, label, check } = options;
  const given = Object.entries({ transport, wal, jobs, maxRate, label, check }).filter(
    ([, value]) => value !== undefined,
  );
  return Object.fromEntries(given) as SnapshotOptions;
}
