import { resolve } from "node:path";
import type { DumpOrigin } from "@lifeboat/postgres";
import { parseCount } from "../option-values.ts";
import type { Session } from "../session.ts";
import { usage } from "../usage.ts";
import type { Verb } from "../verb.ts";

export const importVerb: Verb = {
  name: "import",
  summary: "load a dump that export took into an empty Postgres database",
  options: [
    { flags: "--from <dump>", help: "an export's id, or a file", required: true },
    { flags: "--into <url>", help: "the URL of an empty database", required: true },
    {
      flags: "--jobs <n>",
      help: "how many connections load at once, two when left out; 1: all or nothing, in one transaction",
      parse: parseCount,
    },
    { flags: "--no-owner", help: "leave owners and rights behind: all belongs to who imports" },
    {
      flags: "--no-tablespaces",
      help: "leave tablespaces behind: all goes into the database's own",
    },
  ],
  examples: [
    [
      "import --from 20261122T101500.123Z-export --into postgres://postgres@db2:5432/shop",
      "from the repository into a newer server",
    ],
    [
      "import --from shop.tar.zst --into postgres://shop@db2:5432/shop --no-owner --jobs 1",
      "from a file, without a configuration",
    ],
  ],
  async run({ options }, session) {
    session.assertEngine(["postgres"], "import");
    const into = options.into as string;
    if (!/^postgres(ql)?:\/\//.test(into))
      throw usage(
        "--into is no URL of a database",
        "write it as postgres://user@host:5432/database",
      );
    const { origin, binDirectory } = await originOf(options.from as string, session);
    const { importDump } = await import("@lifeboat/postgres");
    const report = await importDump({
      ...{ origin, into, binDirectory },
      jobs: options.jobs as number | undefined,
      noOwner: options.owner === false,
      noTablespaces: options.tablespaces === false,
      signal: session.signal,
      run: session.run,
    });
    return {
      document: report,
      show: async () => (await import("../show/import.ts")).showImport(report),
    };
  },
};

interface Found {
  readonly origin: DumpOrigin;
  readonly binDirectory: string | undefined;
}

/** An id lies in a repository; anything else is a file, for which nothing else is needed. */
async function originOf(from: string, session: Session): Promise<Found> {
  const { EXPORT_ID, findExport } = await import("../operations.ts");
  const isId = EXPORT_ID.test(from);
  const hasConfiguration = isId ? !session.isByRepository : session.global.config !== undefined;
  const configuration = hasConfiguration ? await session.configuration() : undefined;
  const binDirectory = configuration?.postgres?.binDirectory;
  if (!isId) return { origin: { file: resolve(from) }, binDirectory };
  return { origin: await findExport(await session.openRepository("read"), from), binDirectory };
}
