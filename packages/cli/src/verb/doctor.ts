import type { Finding } from "@lifeboat/core";
import type { Session } from "../session.ts";
import type { Verb } from "../verb.ts";

export const doctorVerb: Verb = {
  name: "doctor",
  summary: "find what stands in the way of a good backup",
  options: [{ flags: "--sql", help: "print the script of a least-privilege role", notBuilt: true }],
  examples: [["doctor", "before the first backup, and whenever something is strange"]],
  async run(_, session) {
    const findings = await examine(session);
    const report = { ok: findings.every(({ severity }) => severity !== "error"), findings };
    return {
      status: report.ok ? 0 : 1,
      document: report,
      show: async () => (await import("../show/findings.ts")).showFindings(report.findings),
    };
  },
};

async function examine(session: Session): Promise<Finding[]> {
  const { examineRepository } = await import("../doctor/repository.ts");
  const findings = await examineRepository(session);
  if (session.isByRepository) return findings;
  const [{ examineEngines }, { examineDrift }] = await Promise.all([
    import("../doctor/engines.ts"),
    import("../doctor/drift.ts"),
  ]);
  return [...findings, ...(await examineEngines(session)), ...(await examineDrift(session))];
}
