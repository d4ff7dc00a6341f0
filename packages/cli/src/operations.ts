/*
 * Core's operations, for `await import()`: imported as a package they would all count as needed by
 * whoever imports anything of it, and every start of the command would load them.
 */
export { backup, drill, list, restore, shippingOf, status, verify, watch } from "@lifeboat/core";
