import { expect, test } from "vitest";
import { removedSegment } from "../src/standby/standby-log.ts";

const removed = (segment: string) =>
  `FATAL:  could not receive data from WAL stream: ERROR:  requested WAL segment ${segment} has already been removed\n`;
const [first, second] = ["00000001000000000000000C", "00000001000000000000000D"] as const;

test("a standby waits for the segment that its primary has removed, until it goes on by archive or by streaming", () => {
  expect(removedSegment("LOG:  entering standby mode\n")).toBeUndefined();
  expect(removedSegment(`${removed(first)}${removed(second)}`)).toBe(second);
  for (const onward of [
    `LOG:  restored log file "${first}" from archive\n`,
    "LOG:  started streaming WAL from primary at 0/C000000 on timeline 1\n",
  ]) {
    expect(removedSegment(`${removed(first)}${onward}`)).toBeUndefined();
    // What it asked for later is removed too.
    expect(removedSegment(`${removed(first)}${onward}${removed(second)}`)).toBe(second);
  }
  // A history comes out of the archive for one that waits as well.
  const history = 'LOG:  restored log file "00000002.history" from archive\n';
  expect(removedSegment(`${removed(first)}${history}`)).toBe(first);
});
