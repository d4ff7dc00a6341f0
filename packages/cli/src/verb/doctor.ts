import type { Finding } from "@lifeboat/core";
import type { Session } from "../session.ts";
import { usage } from "../usage.ts";
import type { Verb } from "../verb.ts";

export const doctorVerb: Verb = {
  name: "doctor",
  summary: "find what stands in the way of a good backup",
  onlyAsks: true,
  options: [{ flags: "--sql", help: "print the script of a least-privilege role for Postgres" }],
  examples: [
    [
      "doctor --sql | psql shop",
      "make a role for Lifeboat that may do what it needs, and nothing more",
    ],
    ["doctor", "before the first backup, and whenever something is strange"],
  ],
  async run({ options }, session) {
    if (options.sql === true) return roleScript(session);
    const findings = await examine(session);
    const report = { ok: findings.every(({ severity }) => severity !== "error"), findings };
    return {
      status: report.ok ? 0 : 1,
      document: report,
      show: async () => (await import("../show/findings.ts")).showFindings(report.findings),
    };
  },
};

async function roleScript(session: Session) {
  session.assertEngine(["postgres"], "doctor --sql");
  const configuration = await session.configuration();
  if (!configuration.postgres)
    throw usage("--sql: the configuration names no Postgres server", "name it: postgres.url");
  const { leastPrivilegeScript, scriptRole } = await import("@lifeboat/postgres");
  const role = await scriptRole(configuration.postgres);
  const { sqlite, migrate } = configuration;
  const sql = leastPrivilegeScript({
    ...role,
    ...(sqlite.length > 0 && { migrateInto: migrate.schema ?? "public" }),
    ...(migrate.appRole && { appRole: migrate.appRole }),
  });
  // What every doctor's document holds, since a script may read that first.
  return { document: { ok: true, findings: [], sql }, show: () => sql };
}

async function examine(session: Session): Promise<Finding[]> {
  const { examineRepository } = await import("../doctor/repository.ts");
  const findings = await examineRepository(session);
  if (session.isByRepository) return findings;
  const [
    { examineEngines },
    { examineArchivePlace },
    { examineShipping },
    { examineDrift },
    { examineAppRole },
  ] = await Promise.all([
    import("../doctor/engines.ts"),
    import("../doctor/archive-place.ts"),
    import("../doctor/shipping.ts"),
    import("../doctor/drift.ts"),
    import("../doctor/app-role.ts"),
  ]);
  findings.push(...(await examineEngines(session)));
  findings.push(...(await examineArchivePlace(session)));
  const known = new Set(findings.map(({ id, summary }) => `${id} ${summary}`));
  const shipping = await examineShipping(session);
  findings.push(...shipping.filter(({ id, summary }) => !known.has(`${id} ${summary}`)));
  return [...findings, ...(await examineDrift(session)), ...(await examineAppRole(session))];
}
