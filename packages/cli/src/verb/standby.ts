import { resolve } from "node:path";
import type { ServerConnection } from "@lifeboat/postgres";
import { fetchCommand } from "../archive-commands.ts";
import { parseMapping, parsePort, parseSize } from "../option-values.ts";
import { assertOutsideClusters } from "../outside-clusters.ts";
import { assertOutsideRepository } from "../outside-repository.ts";
import { postgresConnection } from "../postgres-connection.ts";
import type { Session } from "../session.ts";
import { startCommand } from "../start-command.ts";
import { usage } from "../usage.ts";
import type { Outcome, Verb } from "../verb.ts";

export const standbyVerb: Verb = {
  name: "standby",
  summary: "make a data directory that starts as a streaming standby",
  options: [
    { flags: "--to <directory>", help: "where to: a directory that is empty or not there" },
    {
      flags: "--slot <name>",
      help: "its replication slot; named after the directory when left out",
    },
    { flags: "--without-slot", help: "rely on wal_keep_size, if that suffices" },
    {
      flags: "--from <place>",
      help: "where the base comes from; primary when left out",
      values: ["primary", "repository"],
    },
    {
      flags: "--max-rate <rate>",
      help: "bytes a second that are read at most, such as 20M",
      parse: parseSize,
    },
    {
      flags: "--tablespace-mapping <old=new>",
      help: "put a tablespace elsewhere; may be repeated",
      parse: parseMapping,
      repeatable: true,
    },
    {
      flags: "--port <number>",
      help: "where it listens; as the primary's settings say, or the next free port, when left out",
      parse: parsePort,
    },
    { flags: "--start", help: "also start it, watch it catch up, and prove that it streams" },
    { flags: "--remove <directory>", help: "remove a standby that is stopped, and drop its slot" },
    {
      flags: "--leave-slot",
      help: "with --remove, where the primary is gone: leave its slot there for later, and its tablespaces where they are",
    },
  ],
  examples: [
    ["standby --to /var/lib/postgresql/15/standby --start", "from the primary, until it streams"],
    ["standby --to /srv/standby --from repository", "from the newest backup, to spare the primary"],
    ["standby --remove /srv/standby", "with its slot"],
  ],
  async run({ options }, session) {
    const connection = await postgresConnection(session, "standby");
    if ((options.to === undefined) === (options.remove === undefined))
      throw usage("standby needs --to or --remove", "name one directory by one of them");
    if (typeof options.remove === "string") return remove(connection, options);
    if (options.leaveSlot === true)
      throw usage(
        "--leave-slot goes with --remove",
        "leave it out, or name the standby by --remove",
      );
    if (options.slot !== undefined && options.withoutSlot === true)
      throw usage("--slot and --without-slot exclude each other", "leave one of them out");
    return make(connection, options, session);
  },
};

type Options = Readonly<Record<string, unknown>>;

async function remove(connection: ServerConnection, options: Options): Promise<Outcome> {
  const others = Object.keys(options).filter((name) => name !== "remove" && name !== "leaveSlot");
  if (others.length > 0)
    throw usage("--remove stands alone", "leave the other options of standby out");
  const { removeStandby } = await import("@lifeboat/postgres");
  const leaveSlot = options.leaveSlot === true;
  const removed = await removeStandby(connection, resolve(options.remove as string), { leaveSlot });
  return {
    document: removed,
    show: async () =>
      (await import("../show/removed-standby.ts")).showRemovedStandby(removed, { leaveSlot }),
  };
}

async function make(
  connection: ServerConnection,
  options: Options,
  session: Session,
): Promise<Outcome> {
  const postgres = await import("@lifeboat/postgres");
  const { signal, run } = session;
  const mappings = (options.tablespaceMapping ?? []) as (readonly [string, string])[];
  const to = resolve(options.to as string);
  await assertOutsideClusters(to);
  await assertOutsideRepository(session, [to, ...mappings.map(([, place]) => place)]);
  const base = options.from === "repository" ? await newestBase(connection, session) : {};
  const fetch = await fetchCommand(session);
  let standby: Awaited<ReturnType<typeof postgres.makeStandby>> | undefined;
  const making = {
    title: `make a standby in ${to}`,
    run: async (report: Parameters<typeof postgres.makeStandby>[0]["report"]) => {
      standby = await postgres.makeStandby({
        ...{ connection, to, report, signal, ...base },
        slot: options.withoutSlot === true ? null : (options.slot as string | undefined),
        port: options.port as number | undefined,
        maxRate: (options.maxRate as number | undefined) ?? null,
        tablespaceMapping: new Map(mappings),
        fetchCommand: fetch,
      });
    },
  };
  const starting = {
    title: "start it, and watch it catch up",
    run: async (report: typeof making.run extends (report: infer R) => unknown ? R : never) => {
      if (!standby) return;
      await postgres.bringUpStandby({ connection, standby, report, signal });
    },
  };
  await run(options.start === true ? [making, starting] : [making]);
  const { binDirectory } = connection;
  const start = await startCommand({ dataDirectory: to, binDirectory, needed: null });
  const { path, slot, primary, startLsn, port, findings } = standby as NonNullable<typeof standby>;
  const streaming = options.start === true;
  const report = {
    ...{ path, slot, primary, startLsn, port, streaming },
    start: streaming ? null : start.line,
    findings: [...findings, ...start.findings],
  };
  return {
    document: report,
    show: async () => (await import("../show/standby.ts")).showStandby(report),
  };
}

async function newestBase(connection: ServerConnection, session: Session) {
  const repository = await session.openRepository("read");
  const { postgresEngine } = await import("@lifeboat/postgres");
  const [database = ""] = await postgresEngine({ connection }).databases();
  const folder = repository.folder("postgres", database);
  const { manifests } = await repository.backups(folder);
  return { repository: { folder, backups: manifests } };
}
