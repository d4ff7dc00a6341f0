import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { ownProcessMark } from "@lifeboat/core";
import { expect, onTestFinished, test } from "vitest";
import { MachineClaim } from "../src/watch/machine-claim.ts";

test.runIf(process.platform === "linux")(
  "whoever asks who holds a name and does not hang up keeps nobody from giving it back",
  async () => {
    const file = `of-a-test:${process.pid}`;
    const claim = (await MachineClaim.take(file)) as MachineClaim;
    const asking = connect({ path: `\0lifeboat-watch-${file}`, allowHalfOpen: true });
    onTestFinished(() => void asking.destroy());
    const [told] = await once(asking, "data");
    expect(String(told)).toBe(ownProcessMark());
    expect(await MachineClaim.take(file)).toEqual({ mark: ownProcessMark() });
    await claim[Symbol.asyncDispose]();
    await using next = (await MachineClaim.take(file)) as MachineClaim;
    expect(next).toBeInstanceOf(MachineClaim);
  },
);

const NEVER_ENDS = "x".repeat(150);
test.runIf(process.platform === "linux").each([
  ["says nothing", () => {}],
  [
    "never stops to talk",
    (socket: Socket) => {
      const talking = setInterval(() => socket.write(NEVER_ENDS), 50);
      socket.on("close", () => clearInterval(talking));
    },
  ],
])(
  "of a name whose holder %s nobody tells who that is, and nobody waits for it",
  async (_, talk) => {
    const file = `of-another-program:${process.pid}`;
    const sockets = new Set<Socket>();
    const other = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      talk(socket);
    });
    other.listen(`\0lifeboat-watch-${file}`);
    await once(other, "listening");
    onTestFinished(() => {
      other.close();
      for (const socket of sockets) socket.destroy();
    });
    expect(await MachineClaim.take(file)).toEqual({ mark: null });
  },
);
