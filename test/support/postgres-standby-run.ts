import { makeStandby } from "@lifeboat/postgres";

/** A standby that is made in a process of its own, slowly, to be killed: URL TO. Says once there is something of it. */
const [url = "", to = ""] = process.argv.slice(2);

await makeStandby({
  connection: { url },
  to,
  maxRate: 1 << 20,
  tablespaceMapping: new Map(),
  fetchCommand: [],
  report: ({ bytes }) => void ((bytes ?? 0) > 0 && process.stdout.write("copies\n")),
  signal: new AbortController().signal,
});
