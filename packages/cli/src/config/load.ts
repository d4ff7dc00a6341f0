import { dirname, resolve } from "node:path";
import type { Configuration, LifeboatConfig } from "../configuration.ts";
import { BUILT_IN } from "./fault.ts";
import { findConfigurationFile } from "./find-file.ts";
import { readConfigurationFile } from "./read-file.ts";
import { resolveConfiguration } from "./resolve.ts";

/** A configuration, or a function that makes it when a verb first asks for it. */
export type ConfigurationSource = LifeboatConfig | (() => LifeboatConfig | Promise<LifeboatConfig>);

/**
 * The configuration of this run: the named file, else the one built into the command, else the nearest file
 * upward from the working directory.
 * @throws LifeboatError kind `usage` when there is none, it cannot be read, or something in it is wrong
 */
export async function loadConfiguration(init: {
  readonly file?: string | undefined;
  readonly builtIn?: ConfigurationSource | undefined;
}): Promise<Configuration> {
  const { builtIn } = init;
  if (init.file === undefined && builtIn !== undefined) {
    const value = typeof builtIn === "function" ? await builtIn() : builtIn;
    return resolveConfiguration(value, { source: BUILT_IN, file: null, directory: process.cwd() });
  }
  const file = init.file === undefined ? findConfigurationFile(process.cwd()) : resolve(init.file);
  const value = await readConfigurationFile(file);
  return resolveConfiguration(value, { source: file, file, directory: dirname(file) });
}
