/**
 * The user's signal, and the end of a budget: at once where that has come, since a timer of no time at all rings only once the work
 * that it should keep from beginning has begun.
 * @param left milliseconds of the budget
 */
export function withinBudget(signal: AbortSignal, left: number): AbortSignal {
  const over =
    left > 0
      ? AbortSignal.timeout(Math.ceil(left))
      : AbortSignal.abort(new DOMException("the budget is over", "TimeoutError"));
  return AbortSignal.any([signal, over]);
}
