import { isUtf8 } from "node:buffer";
import { chown, mkdir, readdir, rename } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import {
  type DatabaseFolder,
  type Finding,
  isSystemError,
  LifeboatError,
  type Manifest,
} from "@lifeboat/core";
import type { PostgresDetails, SettingsDetail } from "../details.ts";
import type { Account } from "../files/account.ts";
import { writeDurably } from "../files/durable.ts";
import { parseSettings } from "../files/setting-line.ts";
import { LARGEST_FILE, readSmallFile } from "../files/small-file.ts";
import { SettingsLayout } from "./settings-layout.ts";
import { rewriteSettings, type SettingsText } from "./settings-rewrite.ts";

const STAND_INS: Readonly<Record<string, string>> = {
  "postgresql.conf": `# Written by lifeboat restore: the original's settings were not in the backup.
# A server that can be read while it recovers needs room for as many connections as the original
# had, which only those settings told. This one is opened when it has recovered.
hot_standby = off
`,
  "pg_hba.conf": `# Written by lifeboat restore: the original's rules were not in the backup.
local all all peer
`,
};

export interface LayingInit {
  readonly details: Pick<PostgresDetails, "settings" | "dataDirectory">;
  /** Reads one of the settings files that lay outside. */
  readonly read: (detail: SettingsDetail) => Promise<Buffer>;
  /** Where the copy is being built. */
  readonly directory: string;
  /** What it will be called. */
  readonly dataDirectory: string;
  readonly account: Account;
  /** Of files: 0600, or 0640 where the group may read the cluster. */
  readonly mode: number;
}

/**
 * Lays the settings files that lay outside the data directory (Debian keeps them in
 * `/etc/postgresql`) into the copy, where a server looks that is started with nothing but `-D`, and
 * turns what names files of the original to the copy's own. Settings files that came with the data
 * directory are left as they are, byte for byte, unless they name such files.
 */
export async function laySettings(init: LayingInit): Promise<Finding[]> {
  const { details, directory, dataDirectory } = init;
  const original = details.dataDirectory ?? dataDirectory;
  const layout = new SettingsLayout(
    { ...details, dataDirectory: original },
    await readdir(directory),
  );
  const findings: Finding[] = [];
  for (const detail of details.settings) {
    const to = layout.files.get(resolve(detail.path)) as string;
    const bytes = await init.read(detail);
    const kind = authenticates(detail) ? "authentication" : "settings";
    const file = { from: detail.path, to, dataDirectory, layout, kind } as const;
    findings.push(...(await lay(init, bytes, file, "always")));
  }
  for (const name of ["postgresql.conf", "postgresql.auto.conf"]) {
    if ([...layout.files.values()].includes(name)) continue;
    const bytes = await readSmallFile(join(directory, name)).catch(absent);
    if (bytes === undefined) continue;
    const from = join(original, name);
    const file = { from, to: name, dataDirectory, layout, kind: "settings" } as const;
    findings.push(...(await lay(init, bytes, file, "if changed")));
  }
  return [...findings, ...(await fillIn(init))];
}

/** Stands in for settings that are not in the backup: without these two files no server starts. */
async function fillIn({ directory, account, mode }: LayingInit): Promise<Finding[]> {
  const entries = await readdir(directory);
  const missing = Object.entries(STAND_INS).filter(([name]) => !entries.includes(name));
  for (const [name, text] of missing)
    await writeDurably(join(directory, name), text, { account, mode });
  return missing.map(([name]) => standIn(name));
}

/** Rewrites one file and puts it in its place; one that is there already is kept beside it. */
async function lay(
  init: LayingInit,
  bytes: Buffer,
  file: Omit<SettingsText, "text">,
  when: "always" | "if changed",
): Promise<Finding[]> {
  // Comments may be in any encoding; Latin-1 gives every byte back as it was.
  const encoding = isUtf8(bytes) ? "utf8" : "latin1";
  const { text, changes } = await rewriteSettings({ ...file, text: bytes.toString(encoding) });
  if (when === "if changed" && changes.length === 0) return [];
  const path = join(init.directory, file.to);
  await makeFolder(init, dirname(file.to));
  if (when === "always") await rename(path, `${path}.before-restore`).catch(absent);
  await writeDurably(path, Buffer.from(text, encoding), { account: init.account, mode: init.mode });
  // A folder of includes that is empty is in no backup, and its absence keeps a server from starting.
  for (const { name, value } of parseSettings(text))
    if (name === "include_dir") await makeFolder(init, join(dirname(file.to), value));
  return changes.length === 0 ? [] : [rewritten(file, changes)];
}

async function makeFolder({ directory, account, mode }: LayingInit, path: string) {
  if (path.startsWith("..") || path.startsWith("/")) return;
  const first = await mkdir(join(directory, path), {
    recursive: true,
    mode: mode === 0o640 ? 0o750 : 0o700,
  });
  if (first === undefined || !account.foreign) return;
  for (let made = join(directory, path); made.length >= first.length; made = dirname(made))
    await chown(made, account.uid, account.gid);
}

/** Reads a settings file that was stored with a backup. */
export async function storedSettings(
  { folder, manifest }: { readonly folder: DatabaseFolder; readonly manifest: Manifest },
  { object: name }: SettingsDetail,
): Promise<Buffer> {
  const object = manifest.objects.find(({ object }) => object === name);
  if (!object) throw unusable(manifest, name, "is named by the backup and not among its objects");
  if (object.content.bytes > LARGEST_FILE) throw unusable(manifest, name, "is no settings file");
  const chunks: Uint8Array[] = [];
  for await (const chunk of folder.readObject(manifest, object)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function authenticates({ setting, path }: SettingsDetail): boolean {
  return /^(hba|ident)_file$/.test(setting) || /(hba|ident)[^/]*$/.test(path);
}

function absent(cause: unknown): undefined {
  if (isSystemError(cause, "ENOENT")) return undefined;
  throw cause;
}

function rewritten({ to }: Omit<SettingsText, "text">, changes: readonly string[]): Finding {
  return {
    id: "settings-rewritten",
    severity: "info",
    summary: `${to} was turned to the copy: ${changes.join(", ")}`,
    remedy: `the lines as they were are comments in it; look through them before the copy serves`,
  };
}

function standIn(name: string): Finding {
  return {
    id: "settings-missing",
    severity: "warning",
    summary: `${name} lay outside the data directory and is not in the backup: a stand-in lets the copy start`,
    remedy: `put the original's ${name} in its place, or write one, before the copy serves`,
  };
}

function unusable(manifest: Manifest, object: string, why: string): LifeboatError {
  return new LifeboatError({
    code: "BACKUP_INCOMPLETE",
    message: `${object} of ${manifest.id} ${why}`,
    remedy: "restore another backup (lifeboat list)",
    details: { backup: manifest.id, object },
  });
}
