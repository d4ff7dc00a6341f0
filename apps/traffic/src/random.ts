import { randomBytes } from "node:crypto";

/**
 * Chance that can be repeated: the same seed gives the same numbers, so that a failing run can be
 * run again. Values that must never repeat between runs (uuids, nanoids) do not come from the seed.
 */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A fraction from 0 up to but without 1. */
  fraction(): number {
    // mulberry32: 32 bits of state are plenty for made-up rows.
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let bits = this.#state;
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number from 0 up to but without `bound`. */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound);
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)];
    if (choice === undefined) throw new Error("nothing to pick from");
    return choice;
  }

  /** One of the choices, each as likely as its weight says. */
  weighted<T>(choices: readonly (readonly [weight: number, choice: T])[]): T {
    let left = this.fraction() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, choice] of choices) {
      left -= weight;
      if (left < 0) return choice;
    }
    throw new Error("nothing to pick from");
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  /** Words, about `length` characters: compresses as text does. */
  prose(length: number): string {
    let text = this.pick(WORDS);
    while (text.length < length) text += ` ${this.pick(WORDS)}`;
    return text;
  }
}

/** A canonical lower-case UUID of version 4, new in every run. */
export function uuid(): string {
  const hex = Buffer.from(randomBytes(16)).toString("hex");
  const variant = "89ab"[Number.parseInt(hex[16] ?? "0", 16) % 4];
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20),
  ].join("-");
}

/** An id as nanoid makes them, new in every run. */
export function nanoid(): string {
  const alphabet = "useandom-26T198340PX75pxJACKVERYMINDBUSHWOLF_GQZbfghjklqvwyzrict";
  return [...randomBytes(21)].map((byte) => alphabet[byte % alphabet.length]).join("");
}

const WORDS: readonly string[] =
  "order invoice paid late retry queue worker night report total customer address street Ünal naïve café cron backup deploy release rollback timeout header payload token signature webhook project flag segment rollout percent document template page margin header footer".split(
    " ",
  );
