import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";

/** The simple query as it is sent: its kind, its length and its text (manual, "Message Formats"). */
const COMMIT = Buffer.from("Q\0\0\0\x0bCOMMIT\0", "latin1");

export interface CuttingProxy {
  readonly port: number;
  stop(): void;
}

/**
 * Stands between a client and a server, and cuts the client's connection once the server has answered its COMMIT: the client can't
 * know that it was committed.
 */
export async function cutAtCommit(port: number): Promise<CuttingProxy> {
  const proxy = createServer((client) => {
    const server = connect(port, "127.0.0.1");
    let isCommitting = false;
    client.on("data", (data: Buffer) => {
      isCommitting = data.includes(COMMIT);
      server.write(data);
    });
    server.on("data", (data) => {
      if (isCommitting) client.destroy();
      else client.write(data);
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on("close", () => other.destroy());
      one.on("error", () => other.destroy());
    }
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return { port: (proxy.address() as AddressInfo).port, stop: () => void proxy.close() };
}
