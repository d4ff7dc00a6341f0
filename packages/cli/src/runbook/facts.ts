import { stat } from "node:fs/promises";
import { hostname } from "node:os";
import { resolve } from "node:path";
import type {
  BackupList,
  DrillRecord,
  EngineKind,
  Manifest,
  MigrationRecord,
  Repository,
} from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import type { Configuration } from "../configuration.ts";
import type { Session } from "../session.ts";

/** What is known of an installation when a runbook is rendered. Holds no secret but in `configuration`. */
export interface RunbookFacts {
  readonly app: string;
  readonly host: string;
  readonly renderedAt: Date;
  /** This command as this installation types it: with its configuration or repository, ready for a verb. */
  readonly command: string;
  /** The same by the program's path, for a shell that does not find it. */
  readonly commandByPath: string;
  /** The same from the repository alone, for a host without a configuration. */
  readonly commandByRepository: string;
  /** Variables that the built-in configuration reads and that are set here; their names only. */
  readonly variables: readonly string[];
  /** Absolute. */
  readonly repository: string;
  /** The engine that the runbook is for. */
  readonly engine: EngineKind;
  readonly live: EngineKind | null;
  /** Null where only a repository is named. */
  readonly configuration: Configuration | null;
  /** Bytes of the live SQLite files, by path; without those that are not there. */
  readonly fileBytes: ReadonlyMap<string, number>;
  /** Null where there is no repository yet. */
  readonly list: BackupList | null;
  /** The newest backup of each database of `engine`. */
  readonly newest: readonly Manifest[];
  /** Oldest first, as are `migrations`. */
  readonly drills: readonly DrillRecord[];
  readonly migrations: readonly MigrationRecord[];
}

/** Reads them from the configuration and the repository; no live database is needed. */
export async function gatherFacts(session: Session): Promise<RunbookFacts> {
  const configuration = session.isByRepository ? null : await session.configuration();
  const [, repositoryPath = "", , app = ""] = await session.repositoryOptions();
  const repository = await existingRepository(session);
  const live = await session.live();
  const found = repository ? await readRepository(session, repository, live) : NOTHING;
  const engine = session.global.engine ?? live ?? found.list?.backups.at(-1)?.engine ?? "sqlite";
  return {
    app,
    host: hostname(),
    renderedAt: new Date(),
    ...commandsOf(session, configuration, { repository: repositoryPath, app }),
    variables: configuration?.file === null ? variablesOf(app) : [],
    repository: repositoryPath,
    engine,
    live,
    configuration,
    fileBytes: await fileBytes(configuration),
    list: found.list,
    newest: found.newest.filter((manifest) => manifest.engine === engine),
    drills: found.drills,
    migrations: found.migrations,
  };
}

type Found = Pick<RunbookFacts, "list" | "newest" | "drills" | "migrations">;

const NOTHING: Found = { list: null, newest: [], drills: [], migrations: [] };

async function existingRepository(session: Session): Promise<Repository | null> {
  try {
    return await session.openRepository("read");
  } catch (thrown) {
    // Before its first backup a product may have its runbooks all the same; they say what is unknown.
    if (!session.isByRepository && (thrown as { code?: string }).code === "REPOSITORY_MISSING")
      return null;
    throw thrown;
  }
}

async function readRepository(
  session: Session,
  repository: Repository,
  live: EngineKind | null,
): Promise<Found> {
  const { list } = await import("../operations.ts");
  const newest: Manifest[] = [];
  for (const folder of await repository.folders()) {
    const manifest = (await repository.backups(folder)).manifests.at(-1);
    if (manifest) newest.push(manifest);
  }
  return {
    list: await list({ repository, engines: await session.engines(), live }),
    newest,
    drills: (await repository.drills()).records,
    migrations: (await repository.migrationRecords()).records,
  };
}

function commandsOf(
  session: Session,
  configuration: Configuration | null,
  place: { readonly repository: string; readonly app: string },
): Pick<RunbookFacts, "command" | "commandByPath" | "commandByRepository"> {
  const byRepository = ["--repository", shellWord(place.repository), "--app", shellWord(place.app)];
  const file = configuration ? configuration.file : null;
  const own = configuration === null ? byRepository : file === null ? [] : configOption(file);
  const program = session.ownCommand.map(shellWord);
  return {
    command: [session.program, ...own].join(" "),
    commandByPath: [...program, ...own].join(" "),
    commandByRepository: [session.program, ...byRepository].join(" "),
  };
}

/** Absolute: a runbook is not read in the folder in which it was rendered. */
function configOption(file: string): string[] {
  return ["--config", shellWord(resolve(file))];
}

/** A product's own command takes its places from variables that begin with the product's name. */
function variablesOf(app: string): string[] {
  const prefix = `${app.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}_`;
  return Object.keys(process.env)
    .filter((name) => name.startsWith(prefix))
    .toSorted();
}

async function fileBytes(configuration: Configuration | null): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const { path } of configuration?.sqlite ?? []) {
    // It may be lost: that is when a runbook is read.
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile()) sizes.set(path, found.size);
  }
  return sizes;
}
