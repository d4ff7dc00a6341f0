export { type FetchWal, fetchWal } from "./archive/fetch.ts";
export { type PrefetchWal, prefetchWal } from "./archive/prefetch.ts";
export { type PushWal, pushWal } from "./archive/push.ts";
export { type PushAhead, pushAhead } from "./archive/push-ahead.ts";
