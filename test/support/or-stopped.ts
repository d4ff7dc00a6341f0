/** Waits for work, but no longer than until the signal comes: what goes on then is the caller's to end. */
export async function orStopped<Result>(
  work: Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result | "stopped"> {
  const { promise, resolve } = Promise.withResolvers<"stopped">();
  const stop = () => resolve("stopped");
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted) stop();
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal?.removeEventListener("abort", stop);
    // It may fail since nobody waits for it any more.
    if (signal?.aborted) work.catch(() => undefined);
  }
}
