export { type FetchWal, fetchWal } from "./archive-fetch.ts";
export { type PushWal, pushWal } from "./archive-push.ts";
