import { sqliteEngine } from "../../packages/sqlite/src/engine.ts";
import { databaseFailure } from "../../packages/sqlite/src/failures.ts";
import { holdByReading } from "../../packages/sqlite/src/hold/shared-lock.ts";

/**
 * Looks at a database as a user without rights, and prints what it was told. Root passes every
 * permission check, so it first becomes nobody, after all modules are loaded.
 */
const [path, what] = process.argv.slice(2);
if (path === undefined) throw new Error("a database is needed");
if (process.getuid?.() === 0) {
  process.setgid?.(65534);
  process.setuid?.(65534);
}
if (what === "inspect") {
  const findings = await sqliteEngine({ databases: [{ name: "app", path }] }).inspect();
  process.stdout.write(findings.map(({ id }) => id).join(" "));
} else {
  const signal = new AbortController().signal;
  const told = await holdByReading(path, { patienceMs: 100, signal }).then(
    (held) => `held, ${held.release()} ms`,
    (thrown) => (databaseFailure(path, thrown) as { code: string }).code,
  );
  process.stdout.write(told);
}
