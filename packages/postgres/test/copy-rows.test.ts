import { expect, test } from "vitest";
import { CopyRows } from "../src/basebackup/parallel/copy-rows.ts";

const HEADER = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");

/** A row of one column, as COPY's binary form has it. */
function row(length: number, content: string): Buffer {
  const head = Buffer.alloc(6);
  head.writeInt16BE(1);
  head.writeInt32BE(length, 2);
  return Buffer.concat([head, Buffer.from(content)]);
}

test("rows come with the header or after it, and NULL is none that is empty", async () => {
  const query = new CopyRows("copy");
  for (const chunk of [Buffer.concat([HEADER, row(1, "a")]), row(-1, ""), row(0, "")])
    query.handleCopyData({ chunk });
  query.handleCopyData({ chunk: Buffer.from([0xff, 0xff]) });
  query.handleReadyForQuery();
  expect(await query.values).toEqual([Buffer.from("a"), null, Buffer.alloc(0)]);
});

test.each([
  ["too short for a length", Buffer.from([0, 1, 0])],
  ["too short for its value", row(5, "abc")],
  ["of a length below nothing", row(-2, "abc")],
])("a message %s ends the query, and not the process", async (_, chunk) => {
  const query = new CopyRows("copy");
  query.handleCopyData({ chunk: HEADER });
  query.handleCopyData({ chunk });
  query.handleReadyForQuery();
  await expect(query.values).rejects.toThrow("the server's answer cannot be read");
});
