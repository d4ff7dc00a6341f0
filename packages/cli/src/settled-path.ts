import { realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Where a path leads through links, as far as it is there; what is not is taken as it is written. */
export async function settledPath(path: string): Promise<string> {
  const rest: string[] = [];
  for (let known = path; ; known = dirname(known)) {
    const real = await realpath(known).catch(() => undefined);
    if (real !== undefined || known === dirname(known)) return join(real ?? known, ...rest);
    rest.unshift(basename(known));
  }
}
