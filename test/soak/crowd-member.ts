import { rmSync } from "node:fs";
import Database from "better-sqlite3";
import { randomFrom } from "../support/random-from.ts";
import { nextScene, type Scene } from "./crowd-scene.ts";
import { oneOf } from "./one-of.ts";

/**
 * One of a crowd in a process of its own: `crowd-member.ts <database> <folder> <seed>` plays scene after scene on connections that it
 * keeps or opens anew, until it is killed. Ends with 3 where the database is damaged.
 */
const [path = "", folder = "", seed = "1"] = process.argv.slice(2);
const random = randomFrom(Number(seed));
const connections: (Database.Database | undefined)[] = [undefined, undefined];

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

function play(scene: Scene, connection: Database.Database): void {
  for (const step of scene)
    if (typeof step === "string") connection.exec(step);
    else if ("pauseMs" in step) pause(step.pauseMs);
    else if ("remove" in step) rmSync(step.remove, { force: true });
    else process.kill(process.pid, "SIGKILL");
}

/** On one of two connections, since one that is in the midst of something stays so for a while. */
function playOne(): void {
  const at = oneOf(random, [0, 1]);
  try {
    const timeout = oneOf(random, [0, 100, 3000]);
    const connection = connections[at] ?? new Database(path, { fileMustExist: true, timeout });
    connections[at] = connection;
    if (connection.inTransaction) connection.exec("ROLLBACK");
    play(nextScene(random, folder), connection);
  } catch (thrown) {
    if (!(thrown instanceof Database.SqliteError)) throw thrown;
    if (/^SQLITE_(CORRUPT|NOTADB)/.test(thrown.code)) {
      process.stderr.write(`${thrown}\n`);
      process.exit(3);
    }
    const connection = connections[at];
    if (connection?.inTransaction && random() < 0.7) connection.exec("ROLLBACK");
  }
  if (random() < 0.3) {
    connections[at]?.close();
    connections[at] = undefined;
  }
  setTimeout(playOne, random() * 150);
}
playOne();
