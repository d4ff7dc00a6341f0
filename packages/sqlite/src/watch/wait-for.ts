/** Waits, or until the signal aborts; never throws. */
export function waitFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { once: true });
  });
}

/** Resolves so long after the signal aborted; never when it does not. */
export function longAfter(signal: AbortSignal, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const arm = () => void setTimeout(resolve, milliseconds).unref();
    if (signal.aborted) arm();
    else signal.addEventListener("abort", arm, { once: true });
  });
}

/** The same without letting anything else of this thread run: for the milliseconds behind a gate. */
export function waitHere(milliseconds: number): void {
  Atomics.wait(
    new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
    0,
    0,
    milliseconds,
  );
}
