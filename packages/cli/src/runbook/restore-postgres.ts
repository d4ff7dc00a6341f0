import { shellWord } from "@lifeboat/core/shell-word";
import {
  type Block,
  code,
  command,
  heading,
  list,
  output,
  paragraph,
  say,
  words,
} from "./document.ts";
import { expectedRestore } from "./expected-restore.ts";
import type { RunbookFacts } from "./facts.ts";
import { otherStates } from "./other-states.ts";
import type { PlaceBlocks } from "./place-blocks.ts";
import { withoutSecrets } from "./safe-url.ts";

/** Where the cluster goes, and how its server is told to start and to stop. */
interface Site {
  readonly dataDirectory: string;
  /** Whether a cluster lies there, or lay there, that has to go aside. */
  readonly isOriginal: boolean;
  /** Its folders outside the data directory. */
  readonly tablespaces: readonly string[];
  readonly start: string;
  readonly stop: string;
}

/** Restores into the very place of the cluster, so that whatever starts it now finds it again. */
export async function restorePostgresBlocks(facts: RunbookFacts): Promise<PlaceBlocks> {
  const site = await siteOf(facts);
  return {
    forward: [...makeRoom(site), ...restoreThere(facts, site), ...startAndCheck(facts, site)],
    abort: site.isOriginal
      ? "Up to step 2 nothing has changed: stop wherever you like. From the stop of the server on the product has no database until step 5; until then the way back is whole and takes seconds."
      : "Nothing here touches the live database: stop wherever you like, and remove the copy.",
    back: wayBack(site),
  };
}

async function siteOf({ newest, configuration, app }: RunbookFacts): Promise<Site> {
  const { controlProgram, postgresDetails, serverAccount, startLine, stopLine } = await import(
    "@lifeboat/postgres"
  );
  const last = newest.at(-1);
  // What becomes a line to type is checked like what becomes a path.
  const details = last && postgresDetails(last);
  const configured = configuration?.postgres;
  const original = configured?.dataDirectory ?? details?.dataDirectory ?? null;
  const dataDirectory = original ?? `/var/lib/postgresql/restored-${app}`;
  const major = Math.trunc((details?.serverVersion ?? 0) / 10_000);
  const program = major === 0 ? "pg_ctl" : await controlProgram(major, configured?.binDirectory);
  const account = await serverAccount(dataDirectory);
  return {
    dataDirectory,
    isOriginal: original !== null,
    tablespaces: (details?.tablespaces ?? []).map(({ location }) => location),
    start: startLine(program, dataDirectory, account),
    stop: stopLine(program, dataDirectory, account),
  };
}

function makeRoom({ isOriginal, stop, dataDirectory, tablespaces }: Site): Block[] {
  if (!isOriginal)
    return [
      heading("2. Choose the place", 3),
      paragraph(
        say`Where the server keeps its files is not known here, so the copy goes to ${code(dataDirectory)}. Write another directory wherever this one stands, if you like.`,
      ),
    ];
  return [
    heading("2. Stop the product and the server", 3),
    paragraph(
      words(
        "Stop the product and `watch`. Then the server, if it runs; where a service manager runs it, stop it by that one (`systemctl stop …`), or it is started again at once.",
      ),
    ),
    command(stop),
    output("waiting for server to shut down.... done\nserver stopped"),
    paragraph(words("If it says that no server is running, go on.")),
    heading("3. Keep what is there aside", 3),
    ...[dataDirectory, ...tablespaces].map((folder) =>
      command(rename(folder, "", ".before-restore")),
    ),
    paragraph(
      words(
        "None of these prints anything. If the disk was lost, there is nothing to keep: go on.",
      ),
    ),
  ];
}

function restoreThere(facts: RunbookFacts, { dataDirectory, isOriginal }: Site): Block[] {
  const to = shellWord(dataDirectory);
  return [
    heading(`${isOriginal ? 4 : 3}. Restore`, 3),
    command(`${facts.command} restore --engine postgres --to ${to} --replay`),
    ...expectedRestore(facts, [dataDirectory]),
    paragraph(words("The copy has then recovered on a private socket and is stopped again.")),
    ...otherStates(facts),
  ];
}

function startAndCheck(facts: RunbookFacts, { start, isOriginal }: Site): Block[] {
  const from = isOriginal ? 5 : 4;
  const { command: line, configuration } = facts;
  const url = configuration?.postgres ? withoutSecrets(configuration.postgres.url) : null;
  const isUsable = url !== null && !url.startsWith("(");
  return [
    heading(`${from}. Start the server`, 3),
    paragraph(
      words(
        "As it is always started (`systemctl start …`), or by this line. `restore` has printed its own after `start it with`: if they differ, that one is right.",
      ),
    ),
    command(start),
    output("waiting for server to start.... done\nserver started"),
    paragraph(words("If it ends at once, the reason is in `recovery.log` in the data directory.")),
    heading(`${from + 1}. See that all is well`, 3),
    ...(isUsable
      ? [
          command(`psql ${shellWord(url)} -Atc 'select pg_is_in_recovery()'`),
          output("f"),
          paragraph(
            words(
              "It may ask for the password. `f` means that the server takes writes. Look for what was lost before the product writes again.",
            ),
          ),
        ]
      : [
          paragraph(
            words(
              "Ask it `select pg_is_in_recovery()`: `f` means that it takes writes. Look for what was lost before the product writes again.",
            ),
          ),
        ]),
    ...(configuration?.postgres
      ? [
          command(`${line} backup --engine postgres`),
          paragraph(
            words(
              "The server writes a new timeline since: this backup is the first from which it can be recovered quickly.",
            ),
          ),
          command(`${line} status`),
          paragraph(words("It names the new backup under `last backup`, and no error.")),
          paragraph(words("Now start the product, and `watch` where it ran.")),
        ]
      : []),
    ...(isOriginal
      ? [
          paragraph(
            words(
              "Keep the folders that end in `.before-restore` until somebody has said that nothing is missing; then remove them.",
            ),
          ),
        ]
      : []),
  ];
}

function wayBack({ isOriginal, start, stop, dataDirectory, tablespaces }: Site): Block[] {
  if (!isOriginal)
    return [
      list([
        words("Stop the server of the copy:"),
        [code(stop)],
        words("The original was not touched."),
      ]),
    ];
  return [
    paragraph(
      words(
        "As long as the old folders are there. What was written since the restore stays in the folders that end in `.restored`.",
      ),
    ),
    command(stop),
    ...[dataDirectory, ...tablespaces].flatMap((folder) => [
      command(rename(folder, "", ".restored")),
      command(rename(folder, ".before-restore", "")),
    ]),
    command(start),
  ];
}

/** Never over a folder that is there: `mv` would put one into the other. */
function rename(folder: string, from: string, to: string): string {
  const [old, next] = [`${shellWord(folder)}${from}`, `${shellWord(folder)}${to}`];
  return `if [ -e ${old} ] && [ ! -e ${next} ]; then mv ${old} ${next}; fi`;
}
