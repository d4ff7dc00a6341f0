/**
 * Every way to name a module. Each is a quoted name right after its word, whatever stands before it:
 * over several lines, for types only, in the midst of a line. So nothing is missed, and at worst a text
 * that looks like an import is taken for one.
 */
const SPELLINGS = [
  // import … from "x", export … from "x", and types of both
  /\bfrom\s*["']([^"'\n]+)["']/g,
  // import "x"
  /\bimport\s*["']([^"'\n]+)["']/g,
  // import("x"), require("x"), require.resolve("x"), import.meta.resolve("x")
  /\b(?:import|require|resolve)\s*\(\s*["'`]([^"'`\n]+)["'`]/g,
];

/** The modules that a source names. */
export function importsOf(text: string): string[] {
  return SPELLINGS.flatMap((spelling) => [...text.matchAll(spelling)].map(([, name]) => `${name}`));
}

/** Whether a source imports a module whose name only the run decides. */
export function importsUnnamed(text: string): boolean {
  return /\b(?:import|require)\s*\(\s*(?:[^"'`\s)]|`[^`]*\$\{)|\bcreateRequire\b/.test(text);
}

/** The package of a module's name: `@lifeboat/core` of `@lifeboat/core/errors`. */
export function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}
