import { LifeboatError } from "@lifeboat/core";
import { statIfThere } from "./examine.ts";

const LOOK_EVERY_MS = 100;

/**
 * Runs `work` while the WAL may grow by at most `limitBytes`: as long as the file is held still, the
 * WAL cannot be used again from its start, and a full disk would stop the app.
 * @throws LifeboatError `WAL_GREW` after `work` was aborted by its signal
 */
export async function whileWalIsSmall<T>(
  path: string,
  limitBytes: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const start = await walBytes(path);
  const grown = new AbortController();
  const look = async () => {
    const now = await walBytes(path);
    if (now - start > limitBytes) grown.abort(walGrew(path, now - start, limitBytes));
  };
  const timer = setInterval(() => look().catch((reason) => grown.abort(reason)), LOOK_EVERY_MS);
  try {
    return await work(AbortSignal.any([signal, grown.signal]));
  } finally {
    clearInterval(timer);
  }
}

/** The size of a database's `-wal` file; 0 where there is none. */
export async function walBytes(path: string): Promise<number> {
  return (await statIfThere(`${path}-wal`))?.size ?? 0;
}

function walGrew(path: string, bytes: number, limitBytes: number): LifeboatError {
  return new LifeboatError({
    code: "WAL_GREW",
    message: `${path}-wal grew by ${bytes} bytes during the copy, more than the ${limitBytes} that its disk can spare`,
    remedy: "make room on the database's disk, or back up when less is written",
    details: { path, bytes, limitBytes },
  });
}
