/** Why a lineage ends: something of the WAL was overwritten, or may have been, before it was read. */
export class Hole extends Error {
  override readonly name = "Hole";
}
