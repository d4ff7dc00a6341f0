import type { Fault } from "./fault.ts";

/** No key lies deeper than a handful of levels; an object that holds itself, as one of a module may, would have no end. */
const MOST_LEVELS = 32;

/**
 * Replaces every `{ "env": "NAME" }` in a configuration by the variable's value.
 * @returns the configuration with its strings, and a fault for each variable that is not set, and for each key with too much inside
 */
export function withEnvironment(
  configuration: unknown,
  environment: NodeJS.ProcessEnv,
): { value: unknown; faults: Fault[] } {
  const faults: Fault[] = [];
  const tooDeep = new Set<string>();
  const walk: Walk = (value, at) => {
    if (!isPlainObject(value) && !Array.isArray(value)) return value;
    if (at.level > MOST_LEVELS) tooDeep.add(at.key);
    if (tooDeep.has(at.key)) return undefined;
    if (Array.isArray(value))
      return value.map((each, index) => walk(each, inside(at, `[${index}]`)));
    const name = variableName(value);
    if (name === undefined) return walkMembers(value, at, walk);
    const text = environment[name];
    if (text === undefined)
      faults.push({ path: at.path, message: `the environment variable ${name} is not set` });
    return text;
  };
  const value = walk(configuration, { path: "", key: "", level: 0 });
  const message = `is nested more than ${MOST_LEVELS} levels deep, or holds itself`;
  return { value, faults: [...faults, ...[...tooDeep].map((path) => ({ path, message }))] };
}

interface At {
  readonly path: string;
  /** The topmost part of the path. */
  readonly key: string;
  readonly level: number;
}

type Walk = (value: unknown, at: At) => unknown;

function inside({ path, key, level }: At, part: string): At {
  return { path: path + part, key: level === 0 ? part : key, level: level + 1 };
}

function walkMembers(value: Record<string, unknown>, at: At, walk: Walk): Record<string, unknown> {
  const members = Object.entries(value).map(([name, member]) => [
    name,
    walk(member, inside(at, at.path === "" ? name : `.${name}`)),
  ]);
  return Object.fromEntries(members);
}

function variableName(value: Record<string, unknown>): string | undefined {
  const keys = Object.keys(value);
  return keys.length === 1 && keys[0] === "env" && typeof value.env === "string"
    ? value.env
    : undefined;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
