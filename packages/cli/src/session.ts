import { join, resolve } from "node:path";
import type {
  Compression,
  Engine,
  EngineKind,
  Repository,
  StepRunner,
  Storage,
} from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import { engineOf } from "./config/engine.ts";
import type { ConfigurationSource } from "./config/load.ts";
import { storageOf } from "./config/storage.ts";
import type { Configuration } from "./configuration.ts";
import type { GlobalOptions } from "./global-options.ts";
import { usage } from "./usage.ts";

/** Where the backups of an app lie. */
interface Place {
  readonly repository: Configuration["repository"];
  readonly app: string;
  readonly compression?: Compression;
}

export interface SessionInit {
  readonly program: string;
  /** The program and first arguments that start this command from anywhere, whatever PATH says. */
  readonly ownCommand: readonly string[];
  readonly global: GlobalOptions;
  readonly builtIn: ConfigurationSource | undefined;
  readonly signal: AbortSignal;
  readonly run: StepRunner;
}

/** One run of the command: what the global options say, turned into what core's operations take. */
export class Session {
  readonly program: string;
  readonly ownCommand: readonly string[];
  readonly global: GlobalOptions;
  readonly signal: AbortSignal;
  /** Runs an operation's steps and shows their progress. */
  readonly run: StepRunner;
  readonly #builtIn: ConfigurationSource | undefined;
  #configuration: Promise<Configuration> | undefined;

  constructor(init: SessionInit) {
    this.program = init.program;
    this.ownCommand = init.ownCommand;
    this.global = init.global;
    this.signal = init.signal;
    this.run = init.run;
    this.#builtIn = init.builtIn;
  }

  /** Whether `--repository` stands in place of a configuration. */
  get isByRepository(): boolean {
    return this.global.repository !== undefined;
  }

  /** This command with the same configuration or repository, for a line to copy. */
  get commandLine(): string {
    const { config, repository, app } = this.global;
    const given = Object.entries({ config, repository, app }).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}`, shellWord(value)],
    );
    return [this.program, ...given].join(" ");
  }

  /** @throws LifeboatError kind `usage`, also when `--repository` stands in its place */
  configuration(): Promise<Configuration> {
    if (this.isByRepository)
      throw usage(
        "this needs a configuration, since it needs the live database",
        "leave --repository out, or name the configuration by --config FILE instead",
      );
    this.#configuration ??= this.#load();
    return this.#configuration;
  }

  /** Opens the repository; `write` makes it where there is none. */
  async openRepository(mode: "read" | "write"): Promise<Repository> {
    const { repository, app, compression } = await this.#place();
    const [{ openRepository }, storage] = await Promise.all([
      import("./open-repository.ts"),
      storageOf(repository),
    ]);
    return openRepository({ storage, app, mode, ...(compression && { compression }) });
  }

  async storage(): Promise<Storage> {
    return storageOf((await this.#place()).repository);
  }

  /** Both engines; without a configuration, or where it has no such database, able to read backups only. */
  async engines(): Promise<Engine[]> {
    const configuration = this.isByRepository ? undefined : await this.configuration();
    return [engineOf("sqlite", configuration), engineOf("postgres", configuration)];
  }

  /** The engine that `--engine` names, else the live one; it has a live database. */
  async liveEngine(): Promise<Engine> {
    const configuration = await this.configuration();
    const kind = this.global.engine ?? (await this.#recordedLive("certain")) ?? configuration.live;
    if (configuration.engines.includes(kind)) return engineOf(kind, configuration);
    throw usage(
      `--engine ${kind}: the configuration has no ${kind} database`,
      `add ${kind} to the configuration, or leave --engine out`,
    );
  }

  /** For verbs that concern one engine whatever is live: `--engine` may name that one only. */
  assertEngine(kinds: readonly EngineKind[], what: string): void {
    const { engine } = this.global;
    if (engine !== undefined && !kinds.includes(engine))
      throw usage(`${what}: --engine ${engine} means nothing here`, "leave --engine out");
  }

  /** The engine that is live now; null when only a repository is known that records no move. */
  async live(): Promise<EngineKind | null> {
    const recorded = await this.#recordedLive("readable");
    return recorded ?? (this.isByRepository ? null : (await this.configuration()).live);
  }

  /**
   * The engine that a cutover or a rollback made the live one, by the repository's records; null before the first. `certain`
   * asks that every record can be read, for verbs that would else touch the wrong database.
   */
  async #recordedLive(need: "certain" | "readable"): Promise<EngineKind | null> {
    // With one database there is nothing to choose.
    if (!this.isByRepository && (await this.configuration()).engines.length < 2) return null;
    const repository = await this.#existingRepository();
    if (repository === null) return null;
    const { recordedLive } = await import("@lifeboat/core");
    const { records, problems } = await repository.migrationRecords();
    const [problem] = problems;
    if (problem && need === "certain")
      throw usage(
        `which database is live can't be told: ${problem.message}`,
        "name it by --engine, and bring this object back from a copy of the repository",
      );
    return recordedLive(records);
  }

  /** Null before the first backup makes it. */
  async #existingRepository(): Promise<Repository | null> {
    try {
      return await this.openRepository("read");
    } catch (thrown) {
      if ((thrown as { code?: string }).code === "REPOSITORY_MISSING") return null;
      throw thrown;
    }
  }

  /** The repository's path and the app, absolute, for commands that are run elsewhere. */
  async repositoryOptions(): Promise<string[]> {
    const { repository, app } = await this.#place();
    return ["--repository", repository.path, "--app", app];
  }

  /** The file that everyone reads first who uses this repository. */
  async repositoryMark(): Promise<string> {
    const { repository, app } = await this.#place();
    return join(repository.path, app, "lifeboat.json");
  }

  async #place(): Promise<Place> {
    const { repository, app } = this.global;
    if (repository === undefined) return this.configuration();
    if (this.global.config !== undefined)
      throw usage("--repository and --config exclude each other", "leave one of them out");
    if (app === undefined)
      throw usage("--repository needs --app", "add --app NAME: the app's folder in the repository");
    return { repository: { type: "filesystem", path: resolve(repository) }, app };
  }

  async #load(): Promise<Configuration> {
    const { config, app } = this.global;
    if (app !== undefined)
      throw usage("--app needs --repository", "leave --app out: the configuration names the app");
    const { loadConfiguration } = await import("./config/load.ts");
    return loadConfiguration({ file: config, builtIn: this.#builtIn });
  }
}
