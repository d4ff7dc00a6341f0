import { expect, test } from "vitest";
import { ReceiveQuery } from "../src/wal/receive-query.ts";

const START = 4n << 20n;

/** A message of WAL as a server sends it: where it begins, the server's end and clock, and the bytes. */
function walFrom(start: bigint, bytes: number): { chunk: Buffer } {
  const chunk = Buffer.alloc(25 + bytes, 1);
  chunk.write("w");
  chunk.writeBigUInt64BE(start, 1);
  return { chunk };
}

test("WAL that does not follow what came before is not taken, and ends the stream", async () => {
  for (const gap of [1n, -1n]) {
    let taken = 0;
    const take = (bytes: Buffer) => {
      taken += bytes.length;
    };
    const query = new ReceiveQuery({ slot: "s", start: START, timeline: 1, take });
    query.handleCopyData(walFrom(START, 100));
    query.handleCopyData(walFrom(START + 100n, 50));
    query.handleCopyData(walFrom(START + 150n + gap, 10));
    await expect(query.ended).rejects.toThrow("WAL came from 0/4000");
    expect(taken).toBe(150);
  }
});

test("what is no message of a server's ends the stream, and not the process", async () => {
  const wrong: ((query: ReceiveQuery) => void)[] = [
    (query) => query.handleCopyData({ chunk: Buffer.from("w") }),
    (query) => query.handleDataRow({ fields: ["2", "nowhere"] }),
  ];
  for (const say of wrong) {
    const query = new ReceiveQuery({ slot: "s", start: START, timeline: 1, take: () => {} });
    say(query);
    await expect(query.ended).rejects.toThrow("the server's stream cannot be read");
  }
});
