import { fileURLToPath } from "node:url";

/**
 * Runs before all tests: has Node keep what it compiled. Tests start some thousand processes of ours from their TypeScript
 * sources, and most of a start is compiling them.
 */
export default function keepCompiled(): void {
  process.env.NODE_COMPILE_CACHE ??= fileURLToPath(
    new URL("../../node_modules/.cache/lifeboat-test", import.meta.url),
  );
}
