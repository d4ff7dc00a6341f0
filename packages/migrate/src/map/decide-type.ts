import { type ColumnProfile, storedValues } from "../column-profile.ts";
import { ISO_SHAPES } from "../iso-shape.ts";
import type { Affinity } from "../sqlite/schema.ts";

/** Where a column goes: a Postgres type, and how its values are written in it. */
export interface Mapping {
  readonly type: string;
  readonly codec: string;
}

/** All that the choice of a type rests on. */
export interface ColumnFacts {
  readonly profile: ColumnProfile;
  readonly affinity: Affinity;
  readonly declaredType: string;
  readonly defaultSql: string | null;
  /** The type that the product's own Postgres schema declares. */
  readonly wish: string | null;
  /** Part of a key or an index, where json, which has no equality, can't be. */
  readonly indexed: boolean;
}

type Proof = (facts: ColumnFacts) => boolean;

const only = (profile: ColumnProfile, ...counts: ("integers" | "reals" | "texts" | "blobs")[]) =>
  counts.reduce((sum, key) => sum + profile[key], 0) === storedValues(profile);
const sound = (profile: ColumnProfile) => profile.nulTexts === 0 && profile.brokenTexts === 0;
const shaped = (profile: ColumnProfile, shape: string) =>
  profile.texts === 0 || profile.shapes.has(shape);
const EXACT = 2n ** 53n;
const within = (profile: ColumnProfile, low: bigint, high: bigint) =>
  (profile.minInteger ?? low) >= low && (profile.maxInteger ?? high) <= high;

/** Every way that is proven to bring all stored values back, the better type before the plainer one. */
const WAYS: readonly (Mapping & { readonly proof: Proof })[] = [
  way("bigint", "integer", ({ profile }) => only(profile, "integers")),
  way("boolean", "boolean", ({ profile }) => only(profile, "integers") && within(profile, 0n, 1n)),
  // Years 0001 to 9999, which both sides spell with four digits.
  way(
    "timestamp with time zone",
    "epoch-s",
    ({ profile }) =>
      only(profile, "integers") && within(profile, -62_135_596_800n, 253_402_300_799n),
  ),
  way(
    "timestamp with time zone",
    "epoch-ms",
    ({ profile }) =>
      only(profile, "integers") && within(profile, -62_135_596_800_000n, 253_402_300_799_999n),
  ),
  way("double precision", "real", ({ profile }) => only(profile, "reals")),
  way(
    "numeric",
    "number",
    ({ profile }) =>
      only(profile, "integers", "reals") && profile.wholeReals + profile.infinities === 0,
  ),
  way(
    "double precision",
    "number-real",
    ({ profile }) =>
      only(profile, "integers", "reals") &&
      profile.wholeReals === 0 &&
      within(profile, -EXACT, EXACT),
  ),
  way("uuid", "uuid", ({ profile }) => only(profile, "texts") && shaped(profile, "uuid")),
  way(
    "json",
    "json",
    ({ profile, indexed }) =>
      only(profile, "texts") && sound(profile) && shaped(profile, "json") && !indexed,
  ),
  ...ISO_SHAPES.map((shape) =>
    way(
      shape.type,
      `iso-${shape.name}`,
      ({ profile }) => only(profile, "texts") && shaped(profile, `iso-${shape.name}`),
    ),
  ),
  way("text", "text", ({ profile }) => only(profile, "texts") && sound(profile)),
  way("bytea", "bytes", ({ profile }) => only(profile, "blobs")),
  way(
    "bigint",
    "integer-text",
    ({ profile }) => only(profile, "texts") && profile.integerTexts === profile.texts,
  ),
  way(
    "text",
    "numbers-in-text",
    ({ profile }) =>
      only(profile, "integers", "reals", "texts") &&
      sound(profile) &&
      profile.integerTexts + profile.realTexts === 0,
  ),
  way("text", "tagged", () => true),
  way("bytea", "text-bytes", ({ profile }) => only(profile, "texts")),
  // Not proven but asked for: what it cleans away is lost.
  way("text", "text-cleaned", ({ profile }) => only(profile, "texts")),
];

function way(type: string, codec: string, proof: Proof): Mapping & { proof: Proof } {
  return { type, codec, proof };
}

/** The ways that bring back every stored value, among those of a type, or of a codec, or all. */
export function provenWays(facts: ColumnFacts, wanted: Partial<Mapping> = {}): Mapping[] {
  return WAYS.filter(
    (one) =>
      (wanted.type === undefined || one.type === wanted.type) &&
      (wanted.codec === undefined || one.codec === wanted.codec) &&
      one.proof(facts),
  ).map(({ type, codec }) => ({ type, codec }));
}

/** Codecs that are never taken without being asked for. */
const BY_CHOICE = new Set(["tagged", "text-bytes", "text-cleaned", "integer-text"]);

/**
 * The type that a column gets by itself: the one wished for where the stored values allow it, else the
 * one that its values and its declaration suggest; null where no type holds them faithfully.
 */
export function decideType(facts: ColumnFacts): Mapping | null {
  if (storedValues(facts.profile) === 0) return ofEmpty(facts);
  const proven = provenWays(facts).filter((one) => !BY_CHOICE.has(one.codec));
  const find = (...types: string[]) => proven.find((one) => types.includes(one.type));
  const wished = facts.wish === null ? undefined : wishedWay(facts, facts.wish, proven);
  if (wished) return wished;
  const { profile, affinity, declaredType } = facts;
  if (only(profile, "integers")) {
    if (isBoolean(declaredType) && find("boolean")) return find("boolean") ?? null;
    return (isDecimal(facts) ? find("numeric") : undefined) ?? find("bigint") ?? null;
  }
  if (only(profile, "reals"))
    return (isDecimal(facts) ? find("numeric") : undefined) ?? find("double precision") ?? null;
  if (only(profile, "integers", "reals"))
    return (affinity === "REAL" ? undefined : find("numeric")) ?? find("double precision") ?? null;
  return ofTexts(facts, proven) ?? find("text") ?? find("bytea") ?? null;
}

function ofTexts(facts: ColumnFacts, proven: readonly Mapping[]): Mapping | null {
  const find = (codec: RegExp) => proven.find((one) => codec.test(one.codec)) ?? null;
  if (facts.wish !== null) return null;
  const dated = /DATE|TIME/i.test(facts.declaredType) || isClock(facts.defaultSql);
  return (
    find(/^uuid$/) ??
    (/JSON/i.test(facts.declaredType) ? find(/^json$/) : null) ??
    (dated ? find(/^iso-/) : null)
  );
}

function isClock(sql: string | null): boolean {
  return (
    sql !== null && /current_(timestamp|date|time)|datetime\s*\(|date\s*\(|strftime\s*\(/i.test(sql)
  );
}

/** TINYINT(1) is how Sequelize and Laravel declare it in SQLite, as in MySQL. */
function isBoolean(declaredType: string): boolean {
  return /BOOL|^TINYINT ?\(1\)$/i.test(declaredType);
}

function isDecimal(facts: ColumnFacts): boolean {
  return facts.affinity === "NUMERIC" && /DEC|NUM/i.test(facts.declaredType);
}

function wishedWay(
  facts: ColumnFacts,
  wish: string,
  proven: readonly Mapping[],
): Mapping | undefined {
  const ways = proven.filter((one) => one.type === (wish === "jsonb" ? "json" : wish));
  return ways.find(
    (one) => !one.codec.startsWith("epoch-") || one.codec === likelyEpoch(facts.profile),
  );
}

/** Both units fit any instant; 1973 to 5138 in seconds, the same in milliseconds, can't be confused. */
function likelyEpoch(profile: ColumnProfile): string | null {
  const [low, high] = [profile.minInteger ?? 0n, profile.maxInteger ?? 0n];
  if (low >= 100_000_000n && high < 100_000_000_000n) return "epoch-s";
  if (low >= 100_000_000_000n && high < 100_000_000_000_000n) return "epoch-ms";
  return null;
}

const EMPTY_CODECS: Readonly<Record<string, string>> = {
  bigint: "integer",
  boolean: "boolean",
  "double precision": "real",
  numeric: "number",
  uuid: "uuid",
  json: "json",
  text: "text",
  bytea: "bytes",
  date: "iso-date",
  "time without time zone": "iso-time",
  "timestamp without time zone": "iso-datetime",
  "timestamp with time zone": "iso-datetime-t-ms-z",
};

/** A column without a value goes by its wish, then by its declaration. */
function ofEmpty(facts: ColumnFacts): Mapping {
  const type = facts.wish === "jsonb" ? "json" : facts.wish;
  const wished = type === null ? undefined : EMPTY_CODECS[type];
  if (type !== null && wished !== undefined && !(type === "json" && facts.indexed))
    return {
      type,
      codec:
        type.startsWith("timestamp with time") && facts.affinity === "INTEGER"
          ? "epoch-ms"
          : wished,
    };
  const declared = emptyType(facts);
  return { type: declared, codec: EMPTY_CODECS[declared] ?? "text" };
}

function emptyType({ declaredType, affinity, indexed }: ColumnFacts): string {
  if (isBoolean(declaredType)) return "boolean";
  if (/JSON/i.test(declaredType) && !indexed) return "json";
  if (affinity === "INTEGER") return "bigint";
  if (affinity === "REAL") return "double precision";
  if (affinity === "NUMERIC") return /DEC|NUM/i.test(declaredType) ? "numeric" : "text";
  return affinity === "BLOB" && /BLOB/i.test(declaredType) ? "bytea" : "text";
}
