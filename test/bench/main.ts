import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { benchMigrate } from "./migrate.ts";
import { Parts } from "./parts.ts";
import { benchPostgres } from "./postgres.ts";
import { treeOf } from "./processes.ts";
import { benchSqlite } from "./sqlite.ts";
import { markdown, type Row } from "./table.ts";
import { Workplace } from "./workplace.ts";

/**
 * Measures one part of Lifeboat by its command, start-up included, in turn with the plain tools and its peers, and
 * prints a table in Markdown: `npm run bench -- sqlite|postgres|migrate [--runs N] [--small] [--only PART,…]`. Whatever else
 * runs on the machine spoils it. Only on Linux: CPU and memory are read from /proc.
 */
const SUBJECTS = { sqlite: benchSqlite, postgres: benchPostgres, migrate: benchMigrate };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "5" },
    small: { type: "boolean", default: false },
    only: { type: "string" },
  },
});
const subject = positionals[0] as keyof typeof SUBJECTS;
const runs = Number(values.runs);
if (positionals.length !== 1 || !Object.hasOwn(SUBJECTS, subject) || !(runs >= 1)) {
  console.error(
    `npm run bench -- ${Object.keys(SUBJECTS).join("|")} [--runs N] [--small] [--only PART,…]: N is at least 1`,
  );
  process.exit(2);
}

await using workplace = await Workplace.make();
for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)
  process.once(signal, async () => {
    // Each cleans up behind itself; what then still lies there goes with the workplace.
    for (const pid of (await treeOf(process.pid)).filter((each) => each !== process.pid))
      tellToStop(pid);
    await workplace[Symbol.asyncDispose]();
    process.exit(status);
  });
const rows: Row[] = [];
const parts = new Parts(values.only);
try {
  const request = { workplace, runs, parts, small: values.small };
  for await (const measured of SUBJECTS[subject](request)) {
    rows.push(...measured);
    for (const { what, ours, ratio, met } of measured)
      console.error([what, ours, ratio, met].join("; "));
  }
} finally {
  report();
}
parts.assertAllKnown();

function tellToStop(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch (thrown) {
    // It ended meanwhile.
    if ((thrown as { code?: string }).code !== "ESRCH") throw thrown;
  }
}

/** What was measured until something failed is measured. */
function report(): void {
  const small = values.small ? " --small" : "";
  const only = values.only === undefined ? "" : ` --only ${values.only}`;
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GiB`;
  console.log(
    [
      `\`npm run bench -- ${subject} --runs ${runs}${small}${only}\` on ${cpus().length} cores (${cpus()[0]?.model.trim()}), ${memory}, Node ${process.versions.node}.`,
      "Median (least-most); a ratio is taken run by run, and its median is held against the target.",
      "",
      markdown(rows),
      ...(workplace.leftOut.length > 0
        ? ["", "Left out:", "", ...workplace.leftOut.map((each) => `- ${each}`)]
        : []),
    ].join("\n"),
  );
}
