import { basename, dirname, join } from "node:path";
import type { Manifest } from "@lifeboat/core";
import { shellWord } from "@lifeboat/core/shell-word";
import { type Block, code, command, heading, output, paragraph, say, words } from "./document.ts";
import { expectedRestore } from "./expected-restore.ts";
import type { RunbookFacts } from "./facts.ts";
import { otherStates } from "./other-states.ts";
import type { PlaceBlocks } from "./place-blocks.ts";

interface Copied {
  readonly database: string;
  /** Where the live file lies; null where only a repository is known. */
  readonly path: string | null;
  readonly copy: string;
}

/** Restores beside the live file, checks the copy, and then changes names. */
export function restoreSqliteBlocks(facts: RunbookFacts): PlaceBlocks {
  const to = directoryFor(facts);
  const copies = copiesIn(facts, to);
  const live = copies.filter((copy): copy is Copied & { path: string } => copy.path !== null);
  return {
    forward: [
      heading("2. Restore beside it", 3),
      command(`${facts.command} restore --engine sqlite --to ${shellWord(to)}`),
      ...expectedRestore(
        facts,
        copies.map(({ copy }) => copy),
      ),
      ...otherStates(facts),
      paragraph(
        say`If ${code(to)} holds a copy from before, the command refuses with exit status 3: name another directory, here and below.`,
      ),
      heading("3. Check the copy", 3),
      ...copies.flatMap(({ copy }) => [
        command(`sqlite3 ${shellWord(copy)} 'PRAGMA integrity_check'`),
        output("ok"),
      ]),
      paragraph(
        words(
          "Look in it for what was lost, and whether the mistake is absent. If it is not the right state, restore another instant into another directory.",
        ),
      ),
      ...(live.length === 0 ? handOver() : takePlace(facts, to, live)),
    ],
    abort:
      live.length === 0
        ? "Nothing here touches a live database: stop wherever you like, and remove the copy."
        : "Up to step 3 nothing has changed for the product: stop wherever you like, and remove the copy. Step 4 is the first that the product notices.",
    back: live.length === 0 ? [paragraph(words("There is nothing to take back."))] : takeBack(live),
  };
}

/** Beside the first database, so that giving it the name is one rename. */
function directoryFor({ app, configuration }: RunbookFacts): string {
  const path = configuration?.sqlite[0]?.path;
  return join(path === undefined ? "/var/tmp" : dirname(path), `restored-${app}`);
}

function copiesIn({ newest, configuration }: RunbookFacts, to: string): Copied[] {
  const configured = configuration?.sqlite ?? [];
  const known = newest.map((manifest): Copied => {
    const path = configured.find(({ name }) => name === manifest.database)?.path ?? null;
    return { database: manifest.database, path, copy: join(to, fileName(manifest, path)) };
  });
  if (known.length > 0) return known;
  return configured.map(({ name, path }) => ({
    database: name,
    path,
    copy: join(to, basename(path)),
  }));
}

function fileName({ details, database }: Manifest, path: string | null): string {
  if (typeof details.fileName === "string") return basename(details.fileName);
  return path === null ? `${database}.db` : basename(path);
}

function handOver(): Block[] {
  return [
    heading("4. Give it to the product", 3),
    paragraph(
      words(
        "Stop the product, move its own file aside together with those that end in `-wal`, `-shm` and `-journal`, and give the copy its name.",
      ),
    ),
  ];
}

function takePlace(
  { command: line }: RunbookFacts,
  to: string,
  live: readonly (Copied & { path: string })[],
): Block[] {
  return [
    heading("4. Stop the product", 3),
    paragraph(
      words(
        "Stop everything that has the database open: the product, its workers, and `watch`. A file that changes its name under an open program goes on being written to.",
      ),
    ),
    heading("5. Change the files", 3),
    paragraph(
      words("The live file is kept aside, with all that belongs to it; nothing is overwritten."),
    ),
    ...live.flatMap(({ path, copy }) => [
      command(rename(path, "", ".before-restore")),
      command(`mv -n ${shellWord(copy)} ${shellWord(path)}`),
    ]),
    command(`rmdir ${shellWord(to)}`),
    paragraph(words("None of these prints anything.")),
    heading("6. Start the product, and see that all is well", 3),
    paragraph(words("Start the product, and `watch` where it ran. Then:")),
    command(`${line} backup --engine sqlite`),
    paragraph(
      words(
        "The log of the database begins anew: without this backup nothing after the restore could be recovered.",
      ),
    ),
    command(`${line} status`),
    paragraph(words("It names the new backup under `last backup`, and no error.")),
    paragraph(
      say`Keep the files that end in ${code(".before-restore")} until somebody has said that nothing is missing; then remove them.`,
    ),
  ];
}

function takeBack(live: readonly (Copied & { path: string })[]): Block[] {
  return [
    paragraph(
      words(
        "As long as the old file is there: stop the product, take the restored file aside, and give the old one its name again. What was written since the restore stays in the file that ends in `.restored`.",
      ),
    ),
    ...live.flatMap(({ path }) => [
      command(rename(path, "", ".restored")),
      command(rename(path, ".before-restore", "")),
    ]),
  ];
}

/** SQLite knows a database's companions by their names: they move together. */
function rename(path: string, from: string, to: string): string {
  const file = (end: string) => `${shellWord(path)}${end}"$part"`;
  return [
    "for part in '' -wal -shm -journal; do",
    `  if [ -e ${file(from)} ]; then mv -n ${file(from)} ${file(to)}; fi`,
    "done",
  ].join("\n");
}
