import { LifeboatError } from "@lifeboat/core";

/** Why a lineage ends: something of the WAL was overwritten, or may have been, before it was read. */
export class Hole extends Error {
  override readonly name = "Hole";
}

/** Another watch has written into our lineage: it is given up to it. */
export function isForeignSegment(thrown: unknown): boolean {
  return thrown instanceof LifeboatError && thrown.code === "LOG_OBJECT_DIFFERS";
}
