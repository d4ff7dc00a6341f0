import { readFile } from "node:fs/promises";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { isSystemError, LifeboatError, reasonOf } from "@lifeboat/core/errors";
import { configurationInvalid } from "./fault.ts";

/**
 * The value that a configuration file holds, unchecked: a JSON document, or a module's default export.
 * @param file absolute
 */
export async function readConfigurationFile(file: string): Promise<unknown> {
  const text = await readText(file);
  if (extname(file) === ".json") return parseJson(text, file);
  return defaultExport(file);
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new LifeboatError({
      code: isSystemError(cause, "ENOENT") ? "CONFIG_MISSING" : "CONFIG_UNREADABLE",
      kind: "usage",
      message: isSystemError(cause, "ENOENT")
        ? `there is no configuration ${file}`
        : `cannot read the configuration ${file}: ${reasonOf(cause)}`,
      remedy: "name a file that this account can read by --config FILE",
      cause,
    });
  }
}

function parseJson(text: string, file: string): unknown {
  if (text.trim() === "") throw configurationInvalid(file, [{ path: "", message: "is empty" }]);
  try {
    // Editors on Windows begin a file with a byte order mark, which JSON.parse does not know.
    return JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (thrown) {
    // The engine's message quotes the text around the fault, which may hold a secret.
    const at = /\(line \d+ column \d+\)/.exec(reasonOf(thrown))?.[0] ?? "";
    throw configurationInvalid(file, [{ path: "", message: `is not valid JSON ${at}`.trimEnd() }]);
  }
}

async function defaultExport(file: string): Promise<unknown> {
  let module: Record<string, unknown>;
  try {
    module = await import(pathToFileURL(resolve(file)).href);
  } catch (cause) {
    throw new LifeboatError({
      code: "CONFIG_UNREADABLE",
      kind: "usage",
      message: `cannot load the configuration ${file}: ${reasonOf(cause)}`,
      remedy: "correct the module; --verbose shows where it failed",
      cause,
    });
  }
  if (module.default !== undefined) return module.default;
  throw configurationInvalid(file, [
    { path: "", message: "has no default export: export default defineConfig({ … })" },
  ]);
}
