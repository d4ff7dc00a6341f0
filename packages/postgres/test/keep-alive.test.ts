import { readFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { platform } from "node:os";
import { expect, test } from "vitest";
import { connect, hangUp } from "../src/connection/connection.ts";

test.runIf(platform() === "linux")(
  "a connection that is quiet is probed after half a minute, not after the system's two hours",
  async () => {
    const sockets: Socket[] = [];
    // As much of a server as it takes to be let in.
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.once("data", () => {
        const ready = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);
        socket.write(ready);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const client = await connect({ url: `postgres://somebody@127.0.0.1:${port}/any` });
    try {
      const hexadecimal = (port = 0) => `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
      const own = hexadecimal((client.connection.stream as Socket).localPort);
      // Its other end as well: a connection to elsewhere, or one that has ended, may have the same port on this side.
      const isOwn = (line: string) => {
        const [, , from, to] = line.split(/\s+/);
        return from?.endsWith(own) && to?.endsWith(hexadecimal(port));
      };
      const line = () =>
        readFile("/proc/net/tcp", "utf8").then((text) => text.split("\n").find(isOwn));
      // `02` is the keepalive timer, and behind it when it is due, in hundredths of a second.
      await expect.poll(line).toMatch(/ 02:[0-9A-F]{8} /);
      const due = Number.parseInt(/ 02:([0-9A-F]{8}) /.exec((await line()) ?? "")?.[1] ?? "", 16);
      expect(due).toBeLessThanOrEqual(3_000);
    } finally {
      hangUp(client);
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    }
  },
);
