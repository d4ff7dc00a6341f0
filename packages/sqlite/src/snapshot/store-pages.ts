import { LifeboatError, type SnapshotRequest } from "@lifeboat/core";
import { detailsOf } from "../details.ts";
import type { DatabaseFacts } from "../hold/held.ts";
import { Handover, ReaderGone } from "../raw/handover.ts";
import { type PageToWrite, walOfOneTransaction } from "../wal/one-transaction.ts";
import { lockPageOf } from "./page-hash.ts";
import { PageHashes } from "./page-hashes.ts";
import { ParentHashes } from "./parent-hashes.ts";
import { PageCutter } from "./whole-pages.ts";

export interface PagesToStore {
  readonly request: SnapshotRequest;
  /** The database's name in the repository. */
  readonly name: string;
  readonly facts: DatabaseFacts;
  /** The whole file, from a copy or held still. */
  readonly content: AsyncIterable<Uint8Array>;
}

/**
 * Stores a database in one pass over its bytes: whole, or only the pages that changed since the
 * parent, and beside it every page's hash, for the next one to build on.
 */
export async function storePages(what: PagesToStore): Promise<void> {
  const { request, name, facts } = what;
  const handover = new Handover();
  const hashes = new PageHashes(handover, facts.pageSize);
  const main =
    request.type === "full"
      ? request.store(`${name}.db`, "database", wholeFile(what, hashes))
      : request.store(`${name}.db-wal`, "pages", changes(what, hashes));
  const beside = request.store(`${name}.db-pages`, "page-hashes", handover.content());
  const outcomes = await Promise.allSettled([main, beside].map((task) => failing(handover, task)));
  const reasons = outcomes.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
  if (reasons.length > 0) throw reasons.find((each) => !(each instanceof ReaderGone)) ?? reasons[0];
}

/** Each task ends the other. */
async function failing<T>(handover: Handover, task: Promise<T>): Promise<T> {
  try {
    return await task;
  } catch (thrown) {
    handover.fail(thrown);
    throw thrown;
  }
}

/** The file as it is, its pages hashed on the way. */
async function* wholeFile(
  { content, facts }: PagesToStore,
  hashes: PageHashes,
): AsyncGenerator<Uint8Array> {
  const cutter = new PageCutter(facts);
  for await (const chunk of content) {
    await hashes.takeAll(cutter.push(chunk));
    yield chunk;
  }
  await hashes.end();
}

async function* changes(
  { content, facts, request }: PagesToStore,
  hashes: PageHashes,
): AsyncGenerator<Uint8Array> {
  const parent = request.parents.at(-1);
  if (!parent) throw new Error("an incremental backup needs a parent");
  if (detailsOf(parent).pageSize !== facts.pageSize) throw pageSizeChanged(facts);
  const before = new ParentHashes(request.folder, parent);
  const changed = async function* (): AsyncGenerator<PageToWrite> {
    const { pageSize } = facts;
    const cutter = new PageCutter(facts);
    let number = 0;
    for await (const chunk of content) {
      const pages = cutter.push(chunk);
      for (let at = 0; at < pages.length; at += pageSize) {
        const page = pages.subarray(at, at + pageSize);
        number += 1;
        const [old, now] = [await before.next(), await hashes.take(page)];
        const same = old !== undefined && now.equals(old);
        // The first always: the one transaction that says how many pages there are needs a page.
        if (number === 1 || (!same && number !== lockPageOf(pageSize))) yield { number, page };
      }
    }
    await hashes.end();
  };
  try {
    yield* walOfOneTransaction(changed(), facts);
  } finally {
    await before.close();
  }
}

function pageSizeChanged({ pageSize }: DatabaseFacts): LifeboatError {
  return new LifeboatError({
    code: "DATABASE_CHANGED",
    message: `the database has pages of ${pageSize} bytes since this moment`,
    remedy: "run the backup again; it will be a full one",
  });
}
