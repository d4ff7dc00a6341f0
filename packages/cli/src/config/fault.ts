import { LifeboatError } from "@lifeboat/core/errors";

/** One thing that is wrong in a configuration. */
export interface Fault {
  /** Where, as `sqlite.path` or `drill.checks[0].sql`; "" for the whole. */
  readonly path: string;
  /** What, lower case; never a value, since it may be a secret. */
  readonly message: string;
}

/** How messages name a configuration that is part of the command, and that nobody can correct where it runs. */
export const BUILT_IN = "the built-in configuration";

/** The error for a configuration: one line a fault, each naming its path in the file. */
export function configurationInvalid(source: string, faults: readonly Fault[]): LifeboatError {
  return new LifeboatError({
    code: "CONFIG_INVALID",
    kind: "usage",
    message: faults.map((fault) => line(source, fault)).join("\n"),
    remedy:
      source === BUILT_IN
        ? "set its variables, or name a configuration by --config FILE; nothing was touched"
        : `correct ${source} and run again; nothing was touched`,
    details: { source, faults },
  });
}

/** The error for keys that the contract names and this version does not do anything with. */
export function configurationNotAvailable(source: string, faults: readonly Fault[]): LifeboatError {
  return new LifeboatError({
    code: "NOT_AVAILABLE",
    kind: "usage",
    message: faults.map((fault) => line(source, fault)).join("\n"),
    remedy: `change or leave out ${faults.map(({ path }) => path).join(", ")} in ${source}; nothing was touched`,
    details: { source, keys: faults.map(({ path }) => path) },
  });
}

function line(source: string, { path, message }: Fault): string {
  return path === "" ? `${source}: ${message}` : `${source}: ${path}: ${message}`;
}
