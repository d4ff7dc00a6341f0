import { fileURLToPath } from "node:url";
import { type Account, runAs } from "@lifeboat/postgres";
import { execa } from "execa";
import { stageCommand } from "lifeboat";
import { shellWord } from "./narration.ts";
import type { ProductName } from "./product.ts";
import type { Show } from "./show.ts";

const bin = fileURLToPath(import.meta.resolve("lifeboat/start")).replace(
  "start.cjs",
  "lifeboat.cjs",
);

/**
 * The archive_command: Lifeboat's own `wal push`. The server runs it as its account; where that one
 * cannot enter the clone, it gets a copy of the command for the length of the show.
 */
export async function archiveCommand(
  show: Show,
  account: Account,
  name: ProductName,
): Promise<string> {
  const { repository, serverState } = show.folder;
  const words = [
    "env",
    `LIFEBOAT_STATE_DIRECTORY=${serverState}`,
    ...(await commandFor(show, account)),
    ...["wal", "push", "--repository", repository, "--app", name],
  ];
  return `${words.map(shellWord).join(" ").replaceAll("%", "%%")} "%p"`;
}

async function commandFor(show: Show, account: Account): Promise<readonly string[]> {
  const own = [process.execPath, bin];
  const [program = "", ...args] = own;
  const tried = await execa(program, [...args, "--version"], { ...runAs(account), reject: false });
  if (!tried.failed) return own;
  const staged = await stageCommand();
  show.atEnd(() => staged.remove());
  return staged.command;
}
