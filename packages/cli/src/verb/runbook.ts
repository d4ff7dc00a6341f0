import { RUNBOOKS, type Runbook, type RunbookName } from "../runbook/runbook.ts";
import type { Session } from "../session.ts";
import { usage } from "../usage.ts";
import type { Verb } from "../verb.ts";

export const runbookVerb: Verb = {
  name: "runbook",
  summary: "render the runbook of a cutover, a restore or a drill, from the steps that it runs",
  arguments: [{ name: "<operation>", help: "cutover, restore or drill" }],
  onlyAsks: true,
  options: [
    {
      flags: "--format <format>",
      help: "md, or html: one page that prints well",
      values: ["md", "html"],
    },
  ],
  examples: [
    ["runbook restore > restore.md", "to print before it is needed"],
    ["runbook cutover --format html > cutover.html", "one self-contained page"],
    ["runbook restore --engine sqlite", "of the engine that is not the live one"],
  ],
  async run({ arguments: [name = ""], options }, session) {
    const runbook = await runbookOf(name, session);
    const format = options.format === "html" ? "html" : "md";
    const { title } = runbook.document;
    const text =
      format === "html"
        ? (await import("../runbook/html.ts")).toHtml(runbook.document)
        : (await import("../runbook/markdown.ts")).toMarkdown(runbook.document);
    return { document: { title, format, text, steps: runbook.steps }, show: () => text };
  },
};

async function runbookOf(name: string, session: Session): Promise<Runbook> {
  if (!isRunbook(name))
    throw usage(`there is no runbook ${name}`, `write one of ${RUNBOOKS.join(", ")}`);
  if (name === "cutover") return cutover(session);
  const { gatherFacts } = await import("../runbook/facts.ts");
  const facts = await gatherFacts(session);
  if (name === "restore") return (await import("../runbook/restore.ts")).restoreRunbook(facts);
  const { drillChecks } = await import("../drill-checks.ts");
  const checks = (await drillChecks(session))(facts.engine).map((check) => check.name);
  return (await import("../runbook/drill.ts")).drillRunbook(facts, checks);
}

async function cutover(session: Session): Promise<Runbook> {
  const { migrationSource, migrationTarget } = await import("../migration-request.ts");
  const sqlite = await migrationSource(session);
  await migrationTarget(session);
  const { postgres } = await session.configuration();
  const { gatherFacts } = await import("../runbook/facts.ts");
  const { cutoverRunbook } = await import("../runbook/cutover.ts");
  return cutoverRunbook(await gatherFacts(session), {
    sqlite,
    postgres: postgres as NonNullable<typeof postgres>,
  });
}

function isRunbook(name: string): name is RunbookName {
  return (RUNBOOKS as readonly string[]).includes(name);
}
