import { resolve } from "node:path";
import type { DumpSource, ExportReport } from "@lifeboat/core";
import { parseCount } from "../option-values.ts";
import { assertOutsideRepository } from "../outside-repository.ts";
import { postgresConnection } from "../postgres-connection.ts";
import type { Session } from "../session.ts";
import type { Verb } from "../verb.ts";

export const exportVerb: Verb = {
  name: "export",
  summary: "dump the Postgres database, for a server of another major version",
  options: [
    {
      flags: "--to <file>",
      help: "into a file of its own (.tar.zst); into the repository when left out",
    },
    {
      flags: "--jobs <n>",
      help: "how many connections read tables at once; two when left out",
      parse: parseCount,
    },
  ],
  examples: [
    ["export", "into the repository; list shows it"],
    ["export --to shop.tar.zst --jobs 4", "into a file, by four connections"],
  ],
  async run({ options }, session) {
    const connection = await postgresConnection(session, "export");
    const { postgresDumpSource } = await import("@lifeboat/postgres");
    const jobs = options.jobs as number | undefined;
    const source = postgresDumpSource({ connection, jobs });
    const report = await exported(source, options.to as string | undefined, session);
    return {
      document: report,
      show: async () => (await import("../show/export.ts")).showExport(report, session.commandLine),
    };
  },
};

async function exported(
  source: DumpSource,
  to: string | undefined,
  session: Session,
): Promise<ExportReport> {
  const { assertFileIsFree, exportToFile, exportToRepository } = await import("../operations.ts");
  const { signal, run } = session;
  if (to === undefined) {
    const repository = await session.openRepository("write");
    return exportToRepository({ repository, source, signal, run });
  }
  const path = resolve(to);
  await assertOutsideRepository(session, [path]);
  await assertFileIsFree(path);
  const { app, compression } = await session.configuration();
  return exportToFile({ app, path, level: compression?.level ?? 3, source, signal, run });
}
