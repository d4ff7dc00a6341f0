import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { commandLine } from "./narration.ts";
import type { Product } from "./product.ts";
import type { Show } from "./show.ts";

/** Where `npm run setup` puts the commands. */
export const binDirectory = fileURLToPath(new URL("../../../node_modules/.bin", import.meta.url));

/**
 * Runs a product's own command, as a process of its own, after printing its line. `--json` is added
 * so that the show can hold the command to what it says.
 * @throws Error with the command's own words when it fails
 */
export async function lifeboat<Report>(
  show: Show,
  product: Product,
  words: readonly string[],
): Promise<Report> {
  const program = `lifeboat-${product.name}`;
  commandLine([program, ...words]);
  const done = await execa(`${binDirectory}/${program}`, [...words, "--json"], {
    env: { ...product.environment, LIFEBOAT_STATE_DIRECTORY: show.folder.state },
    cancelSignal: show.signal,
    reject: false,
    stdin: "ignore",
  });
  show.signal.throwIfAborted();
  if (done.exitCode !== 0) {
    throw new Error(
      `${program} ${words.join(" ")} ended with ${done.exitCode ?? done.shortMessage}\n${done.stdout}\n${done.stderr}`,
    );
  }
  return JSON.parse(done.stdout) as Report;
}
