/**
 * Works on items by several at once, each worker taking the next. The first that fails stops the others
 * through the signal that they are given; all have ended when this settles.
 */
export async function inParallel<Item>(
  items: readonly Item[],
  { jobs, signal }: { readonly jobs: number; readonly signal: AbortSignal },
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failing = new AbortController();
  const both = AbortSignal.any([signal, failing.signal]);
  let next = 0;
  let failure: { readonly cause: unknown } | undefined;
  const worker = async () => {
    while (next < items.length && !both.aborted) {
      try {
        await work(items[next++] as Item, both);
      } catch (cause) {
        failure ??= { cause };
        failing.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, jobs) }, worker));
  if (failure) throw failure.cause;
  signal.throwIfAborted();
}
