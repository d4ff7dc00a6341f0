import { access } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { parseSetting, settingLine } from "../files/setting-line.ts";
import type { SettingsLayout } from "./settings-layout.ts";

/** What is rewritten: one settings file of the original, on its way into a copy. */
export interface SettingsText {
  readonly text: string;
  /** Where it lay. Relative names in it are meant from there. */
  readonly from: string;
  /** Where it goes, below the copy's data directory. */
  readonly to: string;
  /** The copy's data directory, when it has its name. */
  readonly dataDirectory: string;
  readonly layout: SettingsLayout;
  /** pg_hba.conf and pg_ident.conf can include others, and quote by double quotes. */
  readonly kind: "settings" | "authentication";
}

export interface Rewritten {
  readonly text: string;
  /** One sentence for each line that is no longer what it was. */
  readonly changes: readonly string[];
}

/** What becomes of a line: it stays, it is taken out for a reason, or another takes its place. */
type Verdict = { readonly why: string; readonly instead?: string } | undefined;
type Rule = (value: string, settings: SettingsText) => Verdict | Promise<Verdict>;

const RULES: Readonly<Record<string, Rule>> = {
  // It would win over `postgres -D`, and the copy's server would open the original.
  data_directory: () => ({ why: "the copy is its own data directory" }),
  hba_file: (value, settings) => authenticationFile("hba_file", value, settings),
  ident_file: (value, settings) => authenticationFile("ident_file", value, settings),
  external_pid_file: () => ({ why: "it is the original's" }),
  unix_socket_directories: socketDirectories,
  include: (value, settings) => included("include", value, settings),
  include_if_exists: (value, settings) => included("include_if_exists", value, settings),
  include_dir: (value, settings) => included("include_dir", value, settings),
  ssl_cert_file: onlyIfThere,
  ssl_key_file: onlyIfThere,
  ssl_ca_file: onlyIfThere,
  ssl_crl_file: onlyIfThere,
  ssl_crl_dir: onlyIfThere,
  ssl_dh_params_file: onlyIfThere,
  log_directory: onlyIfThere,
  stats_temp_directory: onlyIfThere,
};

/**
 * A settings file as a copy needs it: what names files of the original is turned to the copy's own,
 * or taken out where this host has no such file. Lines that change stay readable as comments, with
 * the reason; all others stay as they are, byte for byte.
 */
export async function rewriteSettings(settings: SettingsText): Promise<Rewritten> {
  const changes: string[] = [];
  const lines: string[] = [];
  let withoutCertificate = false;
  for (const line of settings.text.split("\n")) {
    const setting = parseSetting(line.replace(/\r$/, ""));
    const rule = setting && ruleFor(setting.name, settings);
    const verdict = setting && (await rule?.(setting.value, settings));
    if (!setting || !verdict) {
      lines.push(line);
      continue;
    }
    withoutCertificate ||= /^ssl_(cert|key)_file$/.test(setting.name);
    lines.push(`#${line}  # lifeboat restore: ${verdict.why}`);
    if (verdict.instead !== undefined) lines.push(verdict.instead);
    changes.push(`${setting.name} (${verdict.why})`);
  }
  if (withoutCertificate) {
    lines.push("ssl = 'off'  # lifeboat restore: its certificate is not on this host", "");
    changes.push("ssl (off: its certificate is not on this host)");
  }
  return { text: lines.join("\n"), changes };
}

function ruleFor(name: string, { kind }: SettingsText): Rule | undefined {
  return kind === "settings" || name.startsWith("include") ? RULES[name] : undefined;
}

function authenticationFile(name: string, value: string, settings: SettingsText): Verdict {
  const place = settings.layout.find(originalPath(value, settings));
  const usual = name === "hba_file" ? "pg_hba.conf" : "pg_ident.conf";
  if (place === undefined) return { why: `the file is not in the backup: see ${usual} here` };
  if (place === usual) return { why: `it is ${usual} beside this file` };
  // A relative name would be meant from wherever the server is started.
  const instead = settingLine({ name, value: join(settings.dataDirectory, place) });
  return { why: "it lies in the copy", instead };
}

function included(name: string, value: string, settings: SettingsText): Verdict {
  const place = settings.layout.find(originalPath(value, settings));
  if (place === undefined) return { why: "it is not in the backup" };
  const way = relative(dirname(settings.to), place);
  return way === value.replace(/\/+$/, "")
    ? undefined
    : { why: "it lies in the copy", instead: includeLine(name, way, settings) };
}

function includeLine(name: string, value: string, { kind }: SettingsText): string {
  return kind === "settings" ? settingLine({ name, value }) : `${name} "${value}"`;
}

async function socketDirectories(value: string): Promise<Verdict> {
  const directories = value.split(",").map((part) => part.trim().replace(/^"(.*)"$/, "$1"));
  // Nothing, and `@name` of Linux, need no directory.
  const there = await Promise.all(directories.map((name) => /^(@.*)?$/.test(name) || exists(name)));
  if (there.every(Boolean)) return undefined;
  const kept = directories.filter((_, i) => there[i]);
  const instead = settingLine({
    name: "unix_socket_directories",
    value: kept.length > 0 ? kept.join(", ") : "/tmp",
  });
  return { why: "not all of them are on this host", instead };
}

async function onlyIfThere(value: string): Promise<Verdict> {
  // A relative one is below the data directory, and came with it.
  if (!isAbsolute(value) || (await exists(value))) return undefined;
  return { why: "it is not on this host" };
}

function originalPath(value: string, { from }: SettingsText): string {
  return resolve(dirname(from), value);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
