import { readFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import { testFolder } from "../../../test/support/sqlite.ts";
import { parseHeader } from "../src/examine/header.ts";
import { parseWalHeader, WAL_HEADER_BYTES } from "../src/wal/header.ts";

async function headersOf(pageSize: number): Promise<{ database: Buffer; wal: Buffer }> {
  const path = join(await testFolder(), "app.db");
  const connection = new Database(path);
  onTestFinished(() => {
    connection.close();
  });
  connection.pragma(`page_size = ${pageSize}`);
  connection.pragma("journal_mode = WAL");
  connection.pragma("user_version = -7");
  connection.pragma("application_id = 1234");
  connection.exec("CREATE TABLE t(a)");
  const wal = (await readFile(`${path}-wal`)).subarray(0, WAL_HEADER_BYTES);
  connection.pragma("wal_checkpoint(TRUNCATE)");
  return { database: await readFile(path), wal };
}

test.each([512, 4096, 65536])("headers with pages of %i bytes are read", async (pageSize) => {
  const { database, wal } = await headersOf(pageSize);
  expect(parseHeader(database)).toMatchObject({
    pageSize,
    wal: true,
    userVersion: -7,
    applicationId: 1234,
    sqliteVersion: expect.any(Number),
  });
  expect(parseWalHeader(wal, pageSize)).toMatchObject({ pageSize });
});

test("any flipped bit in a WAL's header is found", async () => {
  const { wal } = await headersOf(4096);
  for (let bit = 0; bit < WAL_HEADER_BYTES * 8; bit++) {
    const flipped = Buffer.from(wal);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(parseWalHeader(flipped, 4096), `bit ${bit}`).toBeTypeOf("string");
  }
});

test("a WAL of another page size, and one cut inside its header, are told as such", async () => {
  const { wal } = await headersOf(4096);
  expect(parseWalHeader(wal, 1024)).toMatch(/pages of 4096 bytes, the database has 1024/);
  expect(parseWalHeader(wal.subarray(0, 31), 4096)).toMatch(/shorter/);
});

test("what starts no SQLite database gives no header", async () => {
  const { database } = await headersOf(4096);
  expect(parseHeader(database.subarray(0, 99))).toBeUndefined();
  const wrongPageSize = Buffer.from(database);
  wrongPageSize.writeUInt16BE(1000, 16);
  expect(parseHeader(wrongPageSize)).toBeUndefined();
});
