import { SAFE_NAME } from "@lifeboat/core";
import * as v from "valibot";
import { parseDuration, parseSize } from "../option-values.ts";
import type { Fault } from "./fault.ts";

// No path, argument of a program or text of Postgres can hold one.
const withoutNul = v.check<string, string>((value) => !value.includes("\0"), "holds a NUL byte");
const text = v.pipe(v.string(), v.minLength(1, "is empty"), withoutNul);
const name = v.pipe(
  text,
  v.regex(SAFE_NAME, "may hold only letters, digits, hyphens, dots and underscores"),
);
const level = v.pipe(
  v.number(),
  v.integer("must be a whole number"),
  v.minValue(1, "must be 1 to 19"),
  v.maxValue(19, "must be 1 to 19"),
);
const url = v.pipe(text, v.regex(/^postgres(ql)?:\/\//, "must start with postgres://"));
const absolutePath = v.pipe(text, v.regex(/^\/./, "must be an absolute path"));
const lazy = v.custom<() => Promise<Record<string, unknown>>>(
  (value) => typeof value === "function",
  "must be a function that imports a module",
);

const sqlite = exactly({ name: v.optional(name), path: text });

const check = exactly({
  name: text,
  sql: either(isObject, exactly({ sqlite: text, postgres: text }), text),
  database: v.optional(text),
});

const checks = v.array(check);

/** The answers that migrate's findings offer; what a codec may be called, migrate knows. */
const choice = exactly({
  type: v.optional(text),
  codec: v.optional(text),
  constraint: v.optional(v.picklist(["skip", "not-valid"])),
  generated: v.optional(v.picklist(["plain", "skip"])),
  nullable: v.optional(v.literal(true)),
  table: v.optional(v.literal("skip")),
});

const archive = v.pipe(
  exactly({
    mode: v.optional(v.picklist(["command", "receive"]), "command"),
    maxBacklog: v.optional(v.pipe(text, v.check(isSize, "must be a size such as 10G"))),
    policy: v.optional(v.picklist(["database", "chain"])),
  }),
  v.check(
    ({ mode, maxBacklog, policy }) => mode === "command" || (!maxBacklog && !policy),
    "mode receive has no maxBacklog and no policy: there max_slot_wal_keep_size of the server decides",
  ),
  v.check(
    ({ maxBacklog, policy }) => (policy === "database") <= (maxBacklog !== undefined),
    "policy database needs maxBacklog",
  ),
);

const positive = v.pipe(v.number(), v.minValue(0.001, "must be more than 0 seconds"));
const seconds = v.pipe(text, v.check(isDuration, "must be a duration such as 10s or 2m"));

const WEB = /^https?:\/\//;
// Found in the middle of a cutover, it would be too late.
const askable = v.check<string, string>((value) => !WEB.test(value) || isUrl(value), "is no URL");
const webUrl = v.pipe(text, v.regex(WEB, "must start with http:// or https://"), askable);

/** A line for the shell, or a URL like the one below; or a command with its arguments. */
const command = either(
  Array.isArray,
  v.pipe(v.array(text), v.nonEmpty("is empty")),
  v.pipe(text, askable),
);
/** A command, or a URL that is asked by POST. */
const hook = either(
  (value) => isObject(value) && !Array.isArray(value),
  either(
    (value) => isObject(value) && "command" in value,
    exactly({ command }),
    exactly({ url: webUrl }),
  ),
  command,
);

const configuration = exactly({
  app: name,
  repository: exactly({ type: v.literal("filesystem"), path: text }),
  sqlite: v.optional(
    either(Array.isArray, v.pipe(v.array(sqlite), v.nonEmpty("is empty")), sqlite),
  ),
  postgres: v.optional(
    exactly({
      url,
      backupFrom: v.optional(url),
      extraPaths: v.optional(v.array(absolutePath)),
      dataDirectory: v.optional(text),
      binDirectory: v.optional(text),
    }),
  ),
  compression: v.optional(exactly({ level: v.optional(level), wal: v.optional(level) })),
  archive: v.optional(archive),
  drill: v.optional(exactly({ checks: v.optional(either(isFunction, lazy, checks)) })),
  migrate: v.optional(
    exactly({
      schema: v.optional(text),
      columns: v.optional(v.record(v.string(), choice)),
      appRole: v.optional(text),
      budget: v.optional(either((value) => typeof value === "number", positive, seconds)),
      onCutover: v.optional(hook),
      onRollback: v.optional(hook),
    }),
  ),
  traffic: v.optional(
    exactly({
      program: text,
      rate: v.optional(v.pipe(v.number(), v.gtValue(0, "must be above zero"))),
    }),
  ),
  schema: v.optional(exactly({ sqlite: v.optional(lazy), postgres: v.optional(lazy) })),
});

export type CheckedConfiguration = v.InferOutput<typeof configuration>;
export type CheckedChecks = v.InferOutput<typeof checks>;

/** The faults in a configuration whose variables are resolved: every one, not only the first. */
export function checkConfiguration(value: unknown): Checked<CheckedConfiguration> {
  // To valibot a list is an object in which all members are missing.
  if (Array.isArray(value))
    return { faults: [{ path: "", message: "must be an object, not a list" }] };
  const result = checkWith(configuration, value);
  const database: Fault = {
    path: "sqlite",
    message: "is missing, and postgres too: a database is needed",
  };
  if (!isObject(value) || "sqlite" in value || "postgres" in value) return result;
  return { faults: "faults" in result ? [...result.faults, database] : [database] };
}

/** The faults in a list of checks that a module exports. */
export function checkChecks(value: unknown): Checked<CheckedChecks> {
  return checkWith(checks, value);
}

type Checked<T> = { readonly value: T } | { readonly faults: Fault[] };

function checkWith<S extends v.GenericSchema>(
  schema: S,
  value: unknown,
): Checked<v.InferOutput<S>> {
  const result = v.safeParse(schema, value);
  if (result.success) return { value: result.output };
  const faults = result.issues.map((issue) => ({ path: pathOf(issue), message: messageOf(issue) }));
  return { faults: faults.filter(isFirstAtItsPath) };
}

function isFirstAtItsPath({ path }: Fault, index: number, all: readonly Fault[]): boolean {
  return all.findIndex((fault) => fault.path === path) === index;
}

/** An object that has no other keys. Unlike valibot's own it names each that is too many, and not only the first. */
function exactly<const E extends v.ObjectEntries>(entries: E): v.StrictObjectSchema<E, undefined> {
  return v.objectWithRest(entries, v.never()) as never;
}

/** One of two shapes, chosen by a look at the value: the faults are then those of the shape that was meant. */
function either<A extends v.GenericSchema, B extends v.GenericSchema>(
  isFirst: (value: unknown) => boolean,
  first: A,
  second: B,
) {
  return v.lazy<A | B>((value) => (isFirst(value) ? first : second));
}

/** User and password in it are decoded when it is asked. */
function isUrl(value: string): boolean {
  try {
    const { username, password } = new URL(value);
    return decodeURIComponent(username + password) !== undefined;
  } catch {
    return false;
  }
}

function isSize(value: string): boolean {
  try {
    return parseSize(value) > 0;
  } catch {
    return false;
  }
}

function isDuration(value: string): boolean {
  try {
    return parseDuration(value) > 0;
  } catch {
    return false;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isFunction(value: unknown): boolean {
  return typeof value === "function";
}

function pathOf(issue: v.BaseIssue<unknown>): string {
  return (issue.path ?? []).reduce(
    (path, { key }) =>
      typeof key === "number" ? `${path}[${key}]` : path === "" ? `${key}` : `${path}.${key}`,
    "",
  );
}

/** Never valibot's own words: they repeat the value, which may be a secret. */
function messageOf(issue: v.BaseIssue<unknown>): string {
  if (issue.type === "never") return "is an unknown key";
  if (issue.received === "undefined") return "is missing";
  if (issue.kind === "validation" || issue.type === "custom") return issue.message;
  if (issue.type === "literal" || issue.type === "picklist")
    return `must be ${issue.expected?.replaceAll(" | ", " or ")}`;
  return `must be ${wanted(issue)}, not ${kindOf(issue.input)}`;
}

function wanted(issue: v.BaseIssue<unknown>): string {
  switch (issue.type) {
    case "string":
      return "a string";
    case "number":
      return "a number";
    case "array":
      return "a list";
    case "object_with_rest":
      return "an object";
    default:
      return "another kind of value";
  }
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
