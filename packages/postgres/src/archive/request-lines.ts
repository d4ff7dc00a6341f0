import type { Readable } from "node:stream";

/** Far above any name that a server asks by. */
const LONGEST_LINE = 512;

/**
 * Calls back with each line of a pipe that another account writes into. What grows longer than any request
 * is dropped up to its end: whoever writes on and on without one fills nobody's memory.
 */
export function onRequestLine(source: Readable, handle: (line: string) => void): void {
  let held = "";
  let dropping = false;
  source.setEncoding("latin1");
  source.on("data", (text: string) => {
    const lines = (held + text).split("\n");
    held = lines.pop() ?? "";
    for (const line of lines) {
      if (!dropping) handle(line);
      dropping = false;
    }
    if (held.length <= LONGEST_LINE && !dropping) return;
    dropping = true;
    held = "";
  });
}
