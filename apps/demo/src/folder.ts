import { chmod, chown, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Account, accountMay } from "@lifeboat/postgres";

/** Where everything of a show lies. What is left of it afterwards is for the reader to play with. */
export interface DemoFolder {
  readonly path: string;
  /** All products' backups and WAL. */
  readonly repository: string;
  /** The products' SQLite databases. */
  readonly databases: string;
  /** Restored copies; gone at the end. */
  readonly copies: string;
  /** The Postgres server's; gone at the end. */
  readonly cluster: string;
  /** Where Lifeboat remembers the repository: for us, and for the server's account. */
  readonly state: string;
  readonly serverState: string;
}

/**
 * Makes the folder. The server's account, which as root is another one than ours, must be able to
 * pass through it, and owns the repository: it writes WAL there.
 */
export async function makeFolder(account: Account): Promise<DemoFolder> {
  const path = await mkdtemp(join(await temporaryPlace(account), "lifeboat-demo-"));
  if (account.foreign) await chmod(path, 0o711);
  const within = async (name: string, owner?: Account): Promise<string> => {
    const folder = join(path, name);
    await mkdir(folder, { mode: 0o700 });
    if (owner?.foreign) await chown(folder, owner.uid, owner.gid);
    return folder;
  };
  return {
    path,
    repository: await within("repository", account),
    databases: await within("databases"),
    copies: await within("copies", account),
    cluster: await within("cluster", account),
    state: await within("state"),
    serverState: await within("server-state", account),
  };
}

/** The machine's own choice, unless the account cannot pass through it (a folder in somebody's home). */
async function temporaryPlace(account: Account): Promise<string> {
  for (const place of [tmpdir(), "/tmp", "/var/tmp"])
    if (await accountMay(account, "x", place)) return place;
  throw new Error(`set TMPDIR to a folder that the account ${account.name} may enter`);
}

/** The file that a reader's shell reads to run Lifeboat's commands on what is left. */
export async function writeEnvironment(
  folder: DemoFolder,
  variables: Readonly<Record<string, string>>,
): Promise<string> {
  const file = join(folder.path, "environment.sh");
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}="${value}"`);
  await writeFile(file, `${lines.join("\n")}\n`, { mode: 0o600 });
  return file;
}
