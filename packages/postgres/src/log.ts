/**
 * What the WAL archive of a cluster gives: the instants that can be restored, the way to one of them,
 * and whether all of it is whole. Each is a file of its own.
 */

export { planRecovery } from "./log/plan.ts";
export { logReach } from "./log/reach.ts";
export { verifyWal } from "./log/verify.ts";
