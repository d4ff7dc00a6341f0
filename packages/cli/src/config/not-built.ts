import type { Fault } from "./fault.ts";

/** Keys of the contract that nothing reads yet. */
const KEYS: readonly string[] = ["encryption", "retention"];

/** Values of the contract that nothing does yet, each with one to put in its place. */
const VALUES: readonly (readonly [key: string, value: unknown, instead: string])[] = [
  ["repository.type", "s3", "filesystem"],
];

/**
 * What a configuration asks for that this version does not do. All of it is refused: an
 * `encryption` that is accepted and stores plain would be the worst of defects, and a `retention`
 * that nobody applies is a disk that fills up.
 */
export function notBuiltKeys(configuration: unknown): Fault[] {
  const keys = KEYS.filter((key) => valueAt(configuration, key) !== undefined).map((path) => ({
    path,
    message: "is not available in this version",
  }));
  const values = VALUES.filter(([key, value]) => valueAt(configuration, key) === value).map(
    ([path, value, instead]) => ({
      path,
      message: `"${String(value)}" is not available in this version, "${instead}" is`,
    }),
  );
  return [...keys, ...values];
}

function valueAt(value: unknown, key: string): unknown {
  return key
    .split(".")
    .reduce<unknown>(
      (inside, name) =>
        typeof inside === "object" && inside !== null
          ? (inside as Record<string, unknown>)[name]
          : undefined,
      value,
    );
}
