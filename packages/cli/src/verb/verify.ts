import type { Verb } from "../verb.ts";

export const verifyVerb: Verb = {
  name: "verify",
  summary: "read the repository and name every object that is damaged or missing",
  options: [{ flags: "--deep", help: "also unpack every object and check its content" }],
  examples: [["verify --deep", "all of it, down to the content"]],
  async run({ options }, session) {
    const repository = await session.openRepository("read");
    const { verify } = await import("../operations.ts");
    const report = await verify({
      repository,
      engines: await session.engines(),
      engine: session.global.engine,
      deep: options.deep === true,
      signal: session.signal,
      run: session.run,
    });
    return {
      status: report.ok ? 0 : 1,
      document: report,
      show: async () => (await import("../show/verify.ts")).showVerify(report),
    };
  },
};
