import { realpath } from "node:fs/promises";
import { basename, isAbsolute, join, relative } from "node:path";
import { type Finding, reasonOf, SAFE_NAME } from "@lifeboat/core";
import type pg from "pg";
import { LocalFiles } from "../basebackup/parallel/local-files.ts";
import type { SettingsDetail } from "../details.ts";
import { localDirectory } from "../facts/local-directory.ts";
import type { ServerFacts } from "../facts/server-facts.ts";
import { ownerAccount } from "../files/as-owner.ts";

/** Only superusers may ask by default; nobody else can name the included files. */
const INCLUDED_QUERY = `
  select distinct sourcefile as path from pg_file_settings
  where sourcefile is not null order by 1`;
const HBA_INCLUDED_QUERY = `
  select distinct file_name as path from pg_hba_file_rules where file_name is not null
  union select distinct file_name from pg_ident_file_mappings where file_name is not null order by 1`;
const READ_QUERY = "select encode(pg_read_binary_file($1), 'base64') as content";

/** Since 16 pg_hba.conf and pg_ident.conf may include others. */
const HBA_INCLUDES_SINCE = 16;

interface SettingsFile {
  readonly setting: SettingsDetail["setting"];
  readonly path: string;
}

/**
 * Stores the settings files that lie outside the data directory, where no base backup looks (Debian
 * keeps them in `/etc`), verbatim below `settings/`. What the role may not read is a finding: the
 * data are safe without it.
 */
export async function storeSettings(
  client: pg.Client,
  server: ServerFacts,
  store: (name: string, content: Buffer) => Promise<{ readonly object: string }>,
): Promise<{ settings: SettingsDetail[]; findings: Finding[] }> {
  const findings: Finding[] = [];
  if (!server.dataDirectory || !server.settingsFiles) {
    findings.push(unseen());
    return { settings: [], findings };
  }
  const settings: SettingsDetail[] = [];
  const names = new Set<string>();
  for (const file of await filesOutside(client, server, findings)) {
    const content = await contentOf(client, server, file.path).catch((cause: unknown) => {
      findings.push(unread(file.path, reasonOf(cause)));
      return undefined;
    });
    if (!content) continue;
    const name = `settings/${freeName(file.path, names)}`;
    const stored = await store(name, content);
    settings.push({ ...file, object: stored.object });
  }
  return { settings, findings };
}

/** The main files and what they include, without those that the base backup holds anyway. */
async function filesOutside(
  client: pg.Client,
  server: ServerFacts,
  findings: Finding[],
): Promise<SettingsFile[]> {
  const main = Object.entries(server.settingsFiles ?? {}) as [SettingsFile["setting"], string][];
  const files = new Map<string, SettingsFile>();
  for (const [setting, path] of main) files.set(path, { setting, path });
  for (const path of await includedFiles(client, server, findings))
    if (!files.has(path)) files.set(path, { setting: "include", path });
  return [...files.values()].filter(({ path }) => liesOutside(path, server.dataDirectory ?? "/"));
}

async function includedFiles(
  client: pg.Client,
  server: ServerFacts,
  findings: Finding[],
): Promise<string[]> {
  const queries = [INCLUDED_QUERY];
  if (server.major >= HBA_INCLUDES_SINCE) queries.push(HBA_INCLUDED_QUERY);
  try {
    const paths: string[] = [];
    for (const query of queries)
      for (const { path } of (await client.query<{ path: string }>(query)).rows) paths.push(path);
    return paths;
  } catch (cause) {
    const { config_file: config } = server.settingsFiles ?? { config_file: "" };
    // Without files outside there is nothing that could be missed.
    if (liesOutside(config, server.dataDirectory ?? "/"))
      findings.push(unread(`what ${config} includes`, reasonOf(cause)));
    return [];
  }
}

async function contentOf(client: pg.Client, server: ServerFacts, path: string): Promise<Buffer> {
  try {
    const { rows } = await client.query<{ content: string }>(READ_QUERY, [path]);
    return Buffer.from(rows[0]?.content ?? "", "base64");
  } catch (cause) {
    // On the database's own host the file can be read without any right in the database.
    const directory = await localDirectory(server);
    if (directory !== undefined) return readHere(path, directory);
    throw cause;
  }
}

/** Far above any settings file. */
const LONGEST_SETTINGS = 16 << 20;

/** The server's account may have laid a link there, or a pipe: nothing comes into the backup by us that it may not read itself. */
async function readHere(path: string, dataDirectory: string): Promise<Buffer> {
  const account = await ownerAccount(dataDirectory);
  const files = new LocalFiles("/", account.foreign ? account : undefined);
  const file = await files.open(await realpath(path));
  if (!file) throw new Error("it is not there any more");
  try {
    if (file.bytes > LONGEST_SETTINGS) throw new Error(`it has ${file.bytes} bytes`);
    return Buffer.from(await file.readAt(0, file.bytes));
  } finally {
    await file.close();
  }
}

function liesOutside(path: string, directory: string): boolean {
  const way = relative(directory, isAbsolute(path) ? path : join(directory, path));
  return way.startsWith("..") || isAbsolute(way);
}

/** The file's own name; with a number before it when two files share it. */
function freeName(path: string, taken: Set<string>): string {
  const plain = basename(path).replace(/[^A-Za-z0-9._@+=-]/g, "_");
  const own = SAFE_NAME.test(plain) ? plain : `file-${plain.replace(/^\.+/, "")}`;
  let name = own;
  for (let number = 2; taken.has(name); number++) name = `${number}-${own}`;
  taken.add(name);
  return name;
}

function unseen(): Finding {
  return {
    id: "settings-unseen",
    severity: "warning",
    summary:
      "the role may not see where the settings files lie, so those outside the data directory are not in the backup",
    remedy: "grant pg_read_all_settings to the role, and pg_read_server_files to read them",
  };
}

function unread(what: string, reason: string): Finding {
  return {
    id: "settings-unread",
    severity: "warning",
    summary: `${what} lies outside the data directory and is not in the backup: ${reason}`,
    remedy:
      "as a superuser: grant pg_read_server_files to the role, grant execute on function pg_read_binary_file(text), pg_show_all_file_settings(), pg_hba_file_rules() to it; or keep a copy of the file",
  };
}
