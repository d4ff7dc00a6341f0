import { postgresConnection } from "../postgres-connection.ts";
import type { Verb } from "../verb.ts";

export const slotsVerb: Verb = {
  name: "slots",
  summary: "show replication slots, each with what it retains and a verdict",
  options: [{ flags: "--drop <name>", help: "drop this one, whoever made it, if nobody uses it" }],
  examples: [
    ["slots", "who holds WAL back, and how much"],
    ["slots --drop lifeboat_receive", "one that is not needed any more"],
  ],
  async run({ options }, session) {
    const connection = await postgresConnection(session, "slots");
    const { dropSlot, listSlots } = await import("@lifeboat/postgres");
    const { drop } = options;
    const slots =
      typeof drop === "string" ? await dropSlot(connection, drop) : await listSlots(connection);
    return {
      document: { slots, ...(typeof drop === "string" && { dropped: drop }) },
      show: async () => (await import("../show/slots.ts")).showSlots(slots),
    };
  },
};
