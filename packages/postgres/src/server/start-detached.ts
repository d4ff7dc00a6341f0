import { spawn } from "node:child_process";

/** A process of its own that outlives this one: execa has no way to let one go. */
export function startDetached([program = "", ...words]: readonly string[]): void {
  const child = spawn(program, words, { detached: true, stdio: "ignore" });
  // That none could be started costs time and nothing else.
  child.on("error", () => {});
  child.unref();
}
