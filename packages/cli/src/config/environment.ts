import type { Fault } from "./fault.ts";

/**
 * Replaces every `{ "env": "NAME" }` in a configuration by the variable's value.
 * @returns the configuration with its strings, and a fault for each variable that is not set
 */
export function withEnvironment(
  configuration: unknown,
  environment: NodeJS.ProcessEnv,
): { value: unknown; faults: Fault[] } {
  const faults: Fault[] = [];
  const walk = (value: unknown, path: string): unknown => {
    if (Array.isArray(value)) return value.map((each, index) => walk(each, `${path}[${index}]`));
    if (!isPlainObject(value)) return value;
    const name = variableName(value);
    if (name === undefined) return walkMembers(value, path, walk);
    const text = environment[name];
    if (text === undefined)
      faults.push({ path, message: `the environment variable ${name} is not set` });
    return text;
  };
  return { value: walk(configuration, ""), faults };
}

function walkMembers(
  value: Record<string, unknown>,
  path: string,
  walk: (value: unknown, path: string) => unknown,
): Record<string, unknown> {
  const members = Object.entries(value).map(([name, inside]) => [
    name,
    walk(inside, path === "" ? name : `${path}.${name}`),
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
