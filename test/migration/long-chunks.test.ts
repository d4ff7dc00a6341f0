import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sendCopy } from "../../packages/migrate/src/load/copy-stream.ts";
import { startCluster, type TestCluster } from "../support/postgres.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());

const MIB = 2 ** 20;
/** Some are given back to the system once they are sent, some are not; none may be before. */
const LENGTHS = [8 * MIB, 1, 4 * MIB, MIB, MIB - 100, 16 * MIB, 700, 5 * MIB, 8 * MIB];

it("gives back the memory of a chunk only when all of it is on its way", async () => {
  const client = new pg.Client(cluster.url);
  await client.connect();
  try {
    await client.query("CREATE TABLE long(n int, v text)");
    const values = LENGTHS.map((length, n) => String.fromCharCode(97 + n).repeat(length));
    const rows = async function* () {
      for (const [n, value] of values.entries()) {
        yield Buffer.from(`${n}\t${value}\n`);
        // The server is slower than we are where it stores what it was sent before.
        await sleep(1);
      }
    };
    expect(await sendCopy(client, "COPY long FROM STDIN", rows())).toBe(values.length);
    const stored = await client.query("SELECT md5(v) AS md5 FROM long ORDER BY n");
    const md5 = (value: string) => createHash("md5").update(value).digest("hex");
    expect(stored.rows.map((row) => row.md5)).toEqual(values.map(md5));
  } finally {
    await client.end();
  }
});
