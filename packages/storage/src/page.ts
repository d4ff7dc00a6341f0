import type { ListOptions } from "@lifeboat/core";

/**
 * How many entries a page has when nothing else is asked. Each page costs a look at all names: of a log with a hundred thousand
 * segments, pages of a thousand took most of a minute, and a year of minutes in pages of five thousand several.
 */
const PAGE_LIMIT = 50_000;

/** The paths of one page, before anything is asked about the objects. */
export interface PathPage {
  readonly paths: readonly string[];
  readonly folders: readonly string[];
  readonly next: string | null;
}

/**
 * One page of a listing, for storages that have no listing of their own.
 * @param all the paths of all objects that may match, in any order; one that ends in `/` is a folder
 */
export function pageOf(all: Iterable<string>, options: ListOptions): PathPage {
  const { prefix, folded = false, after, limit = PAGE_LIMIT } = options;
  const entries = new Set<string>();
  for (const path of all) {
    if (!path.startsWith(prefix)) continue;
    const slash = folded ? path.indexOf("/", prefix.length) : -1;
    entries.add(slash < 0 ? path : path.slice(0, slash + 1));
  }
  const compare = orderOf([...entries, after ?? ""]);
  const rest = [...entries]
    .filter((path) => after === undefined || compare(path, after) > 0)
    .sort(compare);
  const page = rest.slice(0, limit);
  return {
    paths: page.filter((path) => !path.endsWith("/")),
    folders: page.filter((path) => path.endsWith("/")),
    next: rest.length > limit ? (page.at(-1) ?? null) : null,
  };
}

/** The order of S3: by UTF-8 bytes. JavaScript's, by UTF-16 units, is the same where no unit is half of a character, and much faster. */
function orderOf(paths: readonly string[]): (a: string, b: string) => number {
  if (paths.some((path) => /[\ud800-\udfff]/.test(path)))
    return (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
  return (a, b) => (a < b ? -1 : a > b ? 1 : 0);
}
