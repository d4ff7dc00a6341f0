import { FETCHED_MAJORS } from "./fetched-postgres.ts";
import { missing, purposeOf } from "./outside-programs.ts";
import { availableMajors } from "./postgres.ts";

/** Runs before all tests: says which are left out on this machine and why. In CI nothing may be. */
export default async function sayWhatIsMissing(): Promise<void> {
  const lacking = missing().map((name) => `${name} is not installed (${purposeOf(name)})`);
  const majors = await availableMajors();
  if (!majors.includes(15))
    lacking.push("PostgreSQL 15 is not installed (servers with all of their client programs)");
  for (const major of FETCHED_MAJORS)
    if (!majors.includes(major))
      lacking.push(
        `PostgreSQL ${major} is not fetched (incremental base backups; test/support/fetch-postgres.sh, which .ci/run calls, brings it)`,
      );
  if (majors.length === 0)
    lacking.push(
      "no PostgreSQL is installed, not even the npm package's (everything about servers)",
    );
  if (lacking.length === 0) return;
  if (process.env.CI) throw new Error(`the suite would leave tests out: ${lacking.join("; ")}`);
  for (const each of lacking) process.stderr.write(`left out: ${each}\n`);
}
