import type { Socket } from "node:net";

/** Calls back with each line; a connection that sends a longer one is ended. */
export function onLine(socket: Socket, most: number, handle: (line: string) => void): void {
  let held = "";
  socket.setEncoding("utf8");
  socket.on("data", (text: string) => {
    const lines = (held + text).split("\n");
    held = lines.pop() ?? "";
    for (const line of lines) handle(line);
    if (held.length > most) socket.destroy();
  });
}
