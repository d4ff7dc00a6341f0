import type { Codec } from "./codec.ts";
import { MIXED_CODECS } from "./mixed-codecs.ts";
import { PLAIN_CODECS } from "./plain-codecs.ts";
import { TIME_CODECS } from "./time-codecs.ts";

const CODECS = new Map(
  [...PLAIN_CODECS, ...MIXED_CODECS, ...TIME_CODECS].map((codec) => [codec.name, codec]),
);

export const codecNames = (): string[] => [...CODECS.keys()];

/** @throws Error for a name that no plan of this version holds */
export function codecNamed(name: string): Codec {
  const codec = CODECS.get(name);
  if (!codec) throw new Error(`no codec is named ${name}`);
  return codec;
}
