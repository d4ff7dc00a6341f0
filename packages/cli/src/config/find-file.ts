import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { LifeboatError } from "@lifeboat/core/errors";

const NAMES = ["lifeboat.config.ts", "lifeboat.config.js", "lifeboat.config.json"];

/**
 * The nearest configuration file, from a directory upward.
 * @throws LifeboatError `CONFIG_MISSING`
 */
export function findConfigurationFile(directory: string): string {
  for (let here = directory; ; here = dirname(here)) {
    const found = NAMES.map((name) => join(here, name)).find((file) => existsSync(file));
    if (found) return found;
    if (dirname(here) === here) break;
  }
  throw new LifeboatError({
    code: "CONFIG_MISSING",
    kind: "usage",
    message: `there is no ${NAMES.join(", ")} in ${directory} or above it`,
    remedy:
      "name one by --config FILE; verbs that only read need none: --repository PATH --app NAME",
  });
}
