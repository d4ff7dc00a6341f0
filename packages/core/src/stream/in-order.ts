/**
 * Starts tasks as they come, at most `ahead` at once, and gives their results in the order in which
 * they came.
 */
export async function* inOrder<T>(
  tasks: AsyncIterable<() => Promise<T>>,
  ahead: number,
): AsyncGenerator<T> {
  const pending: Promise<T>[] = [];
  for await (const start of tasks) {
    if (pending.length >= ahead) yield (await pending.shift()) as T;
    const result = start();
    // It is awaited in its turn; until then a failure is not an unhandled one.
    result.catch(() => {});
    pending.push(result);
  }
  for (const result of pending) yield await result;
}
