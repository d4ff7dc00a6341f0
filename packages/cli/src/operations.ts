/*
 * Core's operations, for `await import()`: imported as a package they would all count as needed by
 * whoever imports anything of it, and every start of the command would load them.
 */
export {
  assertFileIsFree,
  backup,
  drill,
  EXPORT_ID,
  exportToFile,
  exportToRepository,
  findExport,
  list,
  restore,
  shippingOf,
  status,
  verify,
  watch,
} from "@lifeboat/core";
