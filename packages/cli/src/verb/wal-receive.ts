import type { ReceivedWal } from "@lifeboat/postgres";
import { postgresConnection } from "../postgres-connection.ts";
import { inOneLine } from "../printable.ts";
import type { Stopped, Verb } from "../verb.ts";

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
    const { assertSlotName, postgresEngine, RECEIVE_SLOT, receiveWal } = await import(
      "@lifeboat/postgres"
    );
    const slot = (options.slot as string | undefined) ?? RECEIVE_SLOT;
    assertSlotName(slot);
    const [database = ""] = await postgresEngine({ connection }).databases();
    const folder = repository.folder("postgres", database);
    const { signal } = session;
    // A second one could only wait for the slot of the first, and would say every few seconds that nothing is shipped.
    const { letGoOf } = await import("@lifeboat/core");
    const lock = await repository.lock(
      `receive-postgres-${database}-${slot}`,
      `wal receive of ${database} through slot ${slot}`,
      { quiet: true },
    );
    let received: ReceivedWal | undefined;
    try {
      await session.run([
        {
          title: `receive the WAL of ${database}`,
          run: async (report) => {
            received = await receiveWal({
              ...{ connection, folder, report, signal, slot },
              // Said under --quiet too: under a service manager it is all that anybody reads.
              log: (line) => void process.stderr.write(`${inOneLine(line)}\n`),
              synchronous: options.synchronous === true,
            });
          },
        },
      ]);
    } finally {
      await letGoOf([lock], signal);
    }
    return { document: null, show: () => "", ...(received && { stopped: stoppedAt(received) }) };
  },
};

/** It runs until it is stopped: what counts is up to where the repository has the WAL. */
function stoppedAt(received: ReceivedWal): Stopped {
  const { slot, from, upTo, timeline, holes } = received;
  const missing = holes === 0 ? "" : `, with ${holes} hole${holes === 1 ? "" : "s"} on the way`;
  const came =
    upTo === null
      ? "nothing was received"
      : `the WAL from ${from} up to ${upTo} (timeline ${timeline}) is in the repository${missing}`;
  return {
    message: `${came}; replication slot ${slot} keeps what follows on the server`,
    remedy: `start it again to go on from there; if that is not meant: lifeboat slots --drop ${slot}`,
    details: { ...received },
  };
}
