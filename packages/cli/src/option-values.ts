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

/** `OLD=NEW`, both absolute; an equals sign inside a path is written `\=`, as pg_basebackup has it. */
export function parseMapping(text: string): readonly [string, string] {
  const parts = text.split(/(?<!\\)=/).map((part) => part.replaceAll("\\=", "="));
  const [from = "", to = ""] = parts;
  if (parts.length === 2 && isAbsolute(from) && isAbsolute(to)) return [from, to];
  throw usage(
    `--tablespace-mapping: "${text}" is not OLD=NEW with two absolute paths`,
    "write --tablespace-mapping /old/place=/new/place",
  );
}
