import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ownerAccount, shellAsOwner } from "../files/as-owner.ts";

/** Where the archiver finds us, from the data directory. */
export const PUSH_DIRECTORY = "pg_wal/lifeboat.push";

/**
 * What the archiver runs: asks us through one named pipe and waits at another. It succeeds only at our word
 * that the file is stored; at anything else, our absence or death included, it fails, and the line that
 * called it goes on with the program itself. The line bounds how long it waits.
 */
const SCRIPT = `here=\${0%/*}
read -r pid < "$here/pid" || exit 1
test ! -d /proc/self || test -d "/proc/$pid" || exit 1
echo "$1" > "$here/request" || exit 1
while read -r name answer; do
  test "$name" = "$1" || continue
  test "$answer" = stored
  exit
done < "$here/answer"
exit 1
`;

/**
 * Takes the folder, our pid, and the script by its input. Pipes that a killed one left are read by nobody. Who makes it stands there before
 * all else: of several that are started while the first one gets ready, each would else take the place of the one before.
 */
const MAKE = `umask 077
rm -rf -- "$1" && mkdir -- "$1" && echo "$2" > "$1/maker" &&
cat > "$1/push" && mkfifo -m 600 -- "$1/request" "$1/answer"`;

/** Takes the folder and our pid. With it the archiver may ask. */
const OPEN = `umask 077
echo "$2" > "$1/pid"`;

/** Takes the folder and our pid: another process may have made its own in its place meanwhile. */
const REMOVE = `read -r pid < "$1/pid" && test "$pid" != "$2" || rm -rf -- "$1"`;

/** Both pipes, open. */
export interface PushPipes {
  readonly requests: number;
  readonly answers: number;
}

/**
 * Makes the folder in which the archiver finds us, closed to all but the server's account. Its parent
 * belongs to that account, so the account itself makes it, also where we are root; and only its own pipes are opened.
 * @throws the system's words
 */
export async function makePushPipes(directory: string, dataDirectory: string): Promise<PushPipes> {
  await shellAsOwner(dataDirectory, MAKE, [directory, String(process.pid)], SCRIPT);
  const { uid } = await ownerAccount(dataDirectory);
  const opened: number[] = [];
  try {
    for (const name of ["request", "answer"]) opened.push(openPipe(`${directory}/${name}`, uid));
    await shellAsOwner(dataDirectory, OPEN, [directory, String(process.pid)]);
    const [requests, answers] = opened as [number, number];
    return { requests, answers };
  } catch (cause) {
    for (const pipe of opened) closeSync(pipe);
    throw cause;
  }
}

/** By the same account. That it is gone already is no failure. */
export async function removePushPipes(directory: string, dataDirectory: string): Promise<void> {
  await shellAsOwner(dataDirectory, REMOVE, [directory, String(process.pid)]);
}

/** Open at both ends: neither side waits for the other to open, and a script that ends is no end. */
function openPipe(path: string, owner: number): number {
  const { O_RDWR, O_NONBLOCK, O_NOFOLLOW } = constants;
  const pipe = openSync(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW);
  const found = fstatSync(pipe);
  if (found.isFIFO() && found.uid === owner) return pipe;
  closeSync(pipe);
  throw new Error(`${path} is no longer the pipe that was made there`);
}

/** Whether a living process pushes for the archiver, or is about to: a watch, or one that was started so. */
export async function isPushing(dataDirectory: string): Promise<boolean> {
  const maker = join(dataDirectory, PUSH_DIRECTORY, "maker");
  const pid = Number((await readFile(maker, "utf8").catch(() => "")).trim());
  if (!(Number.isSafeInteger(pid) && pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EPERM";
  }
}
