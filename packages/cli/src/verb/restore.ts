import { access, constants, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { RestoreOrder, RestoreReport } from "@lifeboat/core";
import { LifeboatError, reasonOf } from "@lifeboat/core/errors";
import { fetchCommand } from "../archive-commands.ts";
import { commandUnreachable } from "../open-to-all.ts";
import { parseCount, parseMapping } from "../option-values.ts";
import { assertOutsideClusters } from "../outside-clusters.ts";
import { assertOutsideRepository } from "../outside-repository.ts";
import type { Session } from "../session.ts";
import type { StartCommand } from "../start-command.ts";
import { DATABASE_OPTION, TARGET_OPTIONS, targetOf } from "../target.ts";
import { usage } from "../usage.ts";
import type { Verb } from "../verb.ts";

export const restoreVerb: Verb = {
  name: "restore",
  summary: "restore the database into a directory",
  options: [
    {
      flags: "--to <directory>",
      help: "where to: a directory that is empty or not there",
      required: true,
    },
    ...TARGET_OPTIONS,
    DATABASE_OPTION,
    { flags: "--timeline <n>", help: "Postgres' timeline to follow", parse: parseCount },
    {
      flags: "--tablespace-mapping <old=new>",
      help: "put a Postgres tablespace elsewhere; may be repeated",
      parse: parseMapping,
      repeatable: true,
    },
    {
      flags: "--replay",
      help: "also start the copy in private, let it recover, promote it and stop it",
    },
    {
      flags: "--jobs <n>",
      help: "how many objects are unpacked at once at most",
      parse: parseCount,
    },
    { flags: "--force", help: "put the restored files over what is there" },
    {
      flags: "--delta",
      help: "bring this Postgres data directory to the backup's state, and keep what agrees with it",
    },
    {
      flags: "--skip-check",
      help: "leave out the check of the whole copy (SQLite's integrity_check, pg_verifybackup); digests are checked all the same",
    },
    {
      flags: "--extract <name>",
      help: "take one Postgres database or table out of the copy, once it has recovered",
    },
    { flags: "--into <place>", help: "where --extract puts it: a file, or the URL of a database" },
  ],
  examples: [
    ["restore --to /srv/restored", "the latest state"],
    ["restore --to /srv/restored --at 2026-11-22T10:14:59Z", "the instant before the mistake"],
    [
      "restore --to /srv/aside --at 2026-11-22T10:14:59Z --extract invoices --into invoices.dump",
      "one table as it was before the mistake, for pg_restore",
    ],
    [
      "restore --to /var/lib/postgresql/15/main --delta",
      "over a stopped data directory, of which what agrees is kept",
    ],
    [
      "restore --repository /var/backups/lifeboat --app documint --to /srv/restored --replay",
      "on a new host, without a configuration, recovered to the end",
    ],
  ],
  async run({ options }, session) {
    const order = await orderOf(options, session);
    const { restore } = await import("../operations.ts");
    const restored = await restore(order);
    // Until it has recovered, the copy needs this command each time it is started.
    const recoversLater = restored.engine === "postgres" && restored.recoveredTo === null;
    const unreachable = recoversLater ? await commandUnreachable(session.ownCommand) : [];
    const start = restored.engine === "postgres" ? await startOf(restored, session) : null;
    const findings = [...restored.findings, ...unreachable, ...(start?.findings ?? [])];
    const report = { ...restored, start: start?.line ?? null, findings };
    return {
      document: report,
      show: async () => (await import("../show/restore.ts")).showRestore(report),
    };
  },
};

/** Both or none; a file that is there stays unless --force says otherwise. */
async function extractOf({
  extract: name,
  into,
  force,
}: Readonly<Record<string, unknown>>): Promise<RestoreOrder["extract"]> {
  if (typeof name !== "string" && typeof into !== "string") return undefined;
  if (typeof name !== "string" || typeof into !== "string")
    throw usage("--extract and --into go together", "write --extract NAME --into FILE or URL");
  if (/^postgres(ql)?:/.test(into)) return { name, into };
  const file = resolve(into);
  const found = await stat(file).catch(() => undefined);
  if (found && (force !== true || !found.isFile()))
    throw new LifeboatError({
      code: "TARGET_NOT_EMPTY",
      kind: "refused",
      message: `${file} is there already`,
      remedy: "name another file, or replace this one by --force",
      details: { path: file },
    });
  const folder = dirname(file);
  if (!(await stat(folder).catch(() => undefined)))
    throw usage(`--into: there is no folder ${folder}`, "make it first");
  await access(folder, constants.W_OK).catch((cause: unknown) => {
    throw usage(
      `--into: nothing can be written into ${folder} (${reasonOf(cause)})`,
      "name another folder",
    );
  });
  return { name, into: file };
}

async function startOf(
  { path, recoveredTo }: RestoreReport,
  session: Session,
): Promise<StartCommand> {
  const configuration = session.isByRepository ? undefined : await session.configuration();
  const { startCommand } = await import("../start-command.ts");
  return startCommand({
    dataDirectory: path,
    binDirectory: configuration?.postgres?.binDirectory,
    needed: recoveredTo === null ? await session.repositoryMark() : null,
  });
}

async function orderOf(
  options: Readonly<Record<string, unknown>>,
  session: Session,
): Promise<RestoreOrder> {
  const target = targetOf(options);
  const mappings = (options.tablespaceMapping ?? []) as (readonly [string, string])[];
  const tablespaceMapping = new Map(mappings);
  if (tablespaceMapping.size < mappings.length)
    throw usage("--tablespace-mapping: one place is mapped twice", "map each place once");
  const extract = await extractOf(options);
  const file = extract?.into.startsWith("/") ? [extract.into] : [];
  await assertOutsideClusters(options.to as string);
  await assertOutsideRepository(session, [
    options.to as string,
    ...tablespaceMapping.values(),
    ...file,
  ]);
  return {
    repository: await session.openRepository("read"),
    engines: await session.engines(),
    engine: session.global.engine,
    live: await session.live(),
    database: options.database as string | undefined,
    target,
    timeline: options.timeline as number | undefined,
    to: options.to as string,
    tablespaceMapping,
    force: options.force === true,
    delta: options.delta === true,
    skipCheck: options.skipCheck === true,
    jobs: options.jobs as number | undefined,
    replay: options.replay === true,
    extract,
    fetchCommand: await fetchCommand(session),
    signal: session.signal,
    run: session.run,
  };
}
