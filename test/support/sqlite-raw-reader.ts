import { RawReader } from "../../packages/sqlite/src/raw/raw-reader.ts";

/** Holds a raw reader in the middle of a stream that nobody takes, and says its process id. */
const reader = new RawReader();
const stream = reader.stream("/dev/zero", new AbortController().signal);
await stream.next();
process.stdout.write(`${reader.pid} reader\n`);
setInterval(() => {}, 1000);
