/** A place in the WAL of a live database: behind so many frames of the WAL with these salts. */
export interface LogPlace {
  readonly salt1: number;
  readonly salt2: number;
  readonly frames: number;
  /** The running checksum there; of the header where there is no frame yet. */
  readonly checksum1: number;
  readonly checksum2: number;
}

const MEMBERS = ["salt1", "salt2", "frames", "checksum1", "checksum2"] as const;

export function isLogPlace(value: unknown): value is LogPlace {
  if (typeof value !== "object" || value === null) return false;
  const found = value as Record<string, unknown>;
  return MEMBERS.every((member) => {
    const word = found[member];
    return Number.isInteger(word) && (word as number) >= 0 && (word as number) < 2 ** 32;
  });
}

export function isSamePlace(a: LogPlace, b: LogPlace): boolean {
  return MEMBERS.every((member) => a[member] === b[member]);
}
