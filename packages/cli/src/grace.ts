/** An answer, or a segment, takes a fraction of a second; what takes longer after a stop signal hangs. */
const GRACE_MS = 2000;

/** Lets short work, of which a half leaves nothing, end by itself after a stop signal, but not for ever. */
export async function withGrace<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const outOfTime = new Promise<never>((_, reject) => {
    const arm = () => {
      timer = setTimeout(() => reject(signal.reason), GRACE_MS);
    };
    if (signal.aborted) arm();
    else signal.addEventListener("abort", arm, { once: true });
  });
  try {
    return await Promise.race([work, outOfTime]);
  } finally {
    clearTimeout(timer);
  }
}
