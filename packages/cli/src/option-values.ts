import { isAbsolute } from "node:path";
import { usage } from "./usage.ts";

const FACTORS: Readonly<Record<string, number>> = {
  "": 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4,
};

/** Bytes from `20M`: K, M, G and T are powers of 1024, as in the server's own programs. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text);
  const factor = FACTORS[match?.[2]?.toUpperCase() ?? ""];
  const bytes = match && factor !== undefined ? Math.round(Number(match[1]) * factor) : 0;
  if (bytes > 0) return bytes;
  throw usage(`"${text}" is no size`, "write it as 20M, 1.5G or a number of bytes");
}

export function parseCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw usage(`"${text}" is no number of 1 or more`, "write a whole number");
}

export function parsePort(text: string): number {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  if (port > 0 && port < 65_536) return port;
  throw usage(`"${text}" is no port`, "write a number from 1 to 65535");
}

/**
 * `OLD=NEW`, both absolute; an equals sign inside a path is written `\=`, as pg_basebackup has it. A tablespace that was made in place has
 * no path of its own: OLD is then `pg_tblspc/OID`, as the server names it.
 */
export function parseMapping(text: string): readonly [string, string] {
  const parts = text.split(/(?<!\\)=/).map((part) => part.replaceAll("\\=", "="));
  const [from = "", to = ""] = parts;
  const named = isAbsolute(from) || /^pg_tblspc\/\d+$/.test(from);
  if (parts.length === 2 && named && isAbsolute(to)) return [from, to];
  throw usage(
    `--tablespace-mapping: "${text}" is not OLD=NEW with two absolute paths`,
    "write --tablespace-mapping /old/place=/new/place",
  );
}

const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds from `10s`, `2m`, `500ms`; a number alone is seconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text);
  const seconds = match ? Number(match[1]) * (SECONDS[match[2] ?? "s"] ?? 0) : 0;
  if (seconds > 0) return seconds;
  throw usage(`"${text}" is no duration`, "write it as 10s, 2m or 500ms");
}
