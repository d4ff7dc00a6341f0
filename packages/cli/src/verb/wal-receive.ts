import { postgresConnection } from "../postgres-connection.ts";
import type { Verb } from "../verb.ts";

export const walReceiveVerb: Verb = {
  name: "wal receive",
  summary: "stream WAL through a replication slot until stopped",
  options: [
    {
      flags: "--slot <name>",
      help: "the replication slot, lifeboat_receive when left out; made if it is not there, and left when this ends",
    },
    {
      flags: "--synchronous",
      help: "acknowledge at once what is durable in the repository, for synchronous_standby_names, where it bears the slot's name",
    },
  ],
  examples: [
    ["wal receive", "as a service beside the database: a crash loses about a second"],
    ["wal receive --synchronous", "with synchronous_standby_names = 'lifeboat_receive': nothing"],
  ],
  async run({ options }, session) {
    const connection = await postgresConnection(session, "wal receive");
    const repository = await session.openRepository("write");
    const { postgresEngine, receiveWal } = await import("@lifeboat/postgres");
    const [database = ""] = await postgresEngine({ connection }).databases();
    const folder = repository.folder("postgres", database);
    const { signal } = session;
    await session.run([
      {
        title: `receive the WAL of ${database}`,
        run: (report) =>
          receiveWal({
            ...{ connection, folder, report, signal },
            slot: options.slot as string | undefined,
            synchronous: options.synchronous === true,
          }),
      },
    ]);
    return { document: null, show: () => "" };
  },
};
