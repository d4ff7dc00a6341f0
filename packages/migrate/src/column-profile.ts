/** How many values of which class and shape a column holds. */
export interface ColumnProfile {
  readonly nulls: number;
  readonly integers: number;
  readonly reals: number;
  readonly texts: number;
  readonly blobs: number;
  readonly minInteger: bigint | null;
  readonly maxInteger: bigint | null;
  /** Reals without a fraction: where integers stand beside them, they can't be told apart by value. */
  readonly wholeReals: number;
  readonly infinities: number;
  /** Bytes of texts and BLOBs, all and longest. */
  readonly bytes: number;
  readonly maxBytes: number;
  readonly nulTexts: number;
  readonly brokenTexts: number;
  /** Texts that COPY text needs escaped: backslash, tab, line ends. */
  readonly escapeTexts: number;
  /** Texts that are the only spelling of a 64-bit integer: `-5`, not `05`. */
  readonly integerTexts: number;
  /** Texts spelled as this package spells a real: `1.5`, `1.0e+300`. */
  readonly realTexts: number;
  /** The shapes (`SHAPES`) that every text has. Empty where there is no text. */
  readonly shapes: ReadonlySet<string>;
}

export const EMPTY_PROFILE: ColumnProfile = {
  nulls: 0,
  integers: 0,
  reals: 0,
  texts: 0,
  blobs: 0,
  minInteger: null,
  maxInteger: null,
  wholeReals: 0,
  infinities: 0,
  bytes: 0,
  maxBytes: 0,
  nulTexts: 0,
  brokenTexts: 0,
  escapeTexts: 0,
  integerTexts: 0,
  realTexts: 0,
  shapes: new Set(),
};

const SUMS = [
  "nulls",
  "integers",
  "reals",
  "texts",
  "blobs",
  "wholeReals",
  "infinities",
  "bytes",
  "nulTexts",
  "brokenTexts",
  "escapeTexts",
  "integerTexts",
  "realTexts",
] as const;

/** The profile of two sets of values together. */
export function mergeProfiles(left: ColumnProfile, right: ColumnProfile): ColumnProfile {
  const sums = Object.fromEntries(SUMS.map((key) => [key, left[key] + right[key]]));
  return {
    ...left,
    ...sums,
    minInteger: least(left.minInteger, right.minInteger, -1),
    maxInteger: least(left.maxInteger, right.maxInteger, 1),
    maxBytes: Math.max(left.maxBytes, right.maxBytes),
    shapes: sharedShapes(left, right),
  };
}

function least(left: bigint | null, right: bigint | null, sign: 1 | -1): bigint | null {
  if (left === null) return right;
  if (right === null) return left;
  return (sign === 1) === left > right ? left : right;
}

function sharedShapes(left: ColumnProfile, right: ColumnProfile): ReadonlySet<string> {
  if (left.texts === 0) return right.shapes;
  return right.texts === 0 ? left.shapes : left.shapes.intersection(right.shapes);
}

/** Values that are not NULL. */
export function storedValues(profile: ColumnProfile): number {
  return profile.integers + profile.reals + profile.texts + profile.blobs;
}
