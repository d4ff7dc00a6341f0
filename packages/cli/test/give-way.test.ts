import { execa } from "execa";
import { expect, test } from "vitest";

const MODULE = new URL("../src/give-way.ts", import.meta.url).href;
/** Two threads of Node's pool are there by then. */
const SCRIPT = `
  import { readdirSync } from "node:fs";
  import { getPriority } from "node:os";
  import { gzip } from "node:zlib";
  import { promisify } from "node:util";
  import { giveWay } from "${MODULE}";
  await Promise.all([promisify(gzip)("a"), promisify(gzip)("b")]);
  giveWay();
  console.log(JSON.stringify([...new Set(readdirSync("/proc/self/task").map((id) => getPriority(Number(id))))]));
`;

/** What the threads of a process have that was started with a nice value and gave way. */
async function prioritiesAfter(nice: number): Promise<unknown> {
  const words = ["-n", `${nice}`, process.execPath, "--input-type=module", "--eval", SCRIPT];
  return JSON.parse((await execa("nice", words)).stdout);
}

test.runIf(process.platform === "linux")(
  "who gives way does so with all threads, and stays as low as it was started by nice or a service manager",
  async () => {
    const [usual, low] = await Promise.all([prioritiesAfter(0), prioritiesAfter(19)]);
    expect(usual).toEqual([10]);
    expect(low).toEqual([19]);
  },
);
