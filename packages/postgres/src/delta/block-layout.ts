import { join } from "node:path";
import { LifeboatError } from "@lifeboat/core";
import { readSmallFile } from "../files/small-file.ts";

/** How a cluster's relations lie in files. */
export interface BlockLayout {
  readonly blockBytes: number;
  /** The most that one file of a relation has. */
  readonly segmentBlocks: number;
}

/**
 * 1234567.0, which a server writes into its control file to tell by it how its machine stores numbers; in front of
 * both facts in every version (`ControlFileData` in `catalog/pg_control.h`).
 */
const FLOAT_FORMAT = Buffer.from("0000000087d63241", "hex");
const BLOCK_BYTES = { least: 1 << 10, most: 32 << 10 };

/**
 * Reads the layout from a control file.
 * @param control from the data directory
 * @throws LifeboatError `BACKUP_INCOMPLETE` where it does not say it
 */
export async function blockLayoutOf(
  dataDirectory: string,
  control: string,
  backup: string,
): Promise<BlockLayout> {
  const content = await readSmallFile(join(dataDirectory, control));
  const at = content.indexOf(FLOAT_FORMAT);
  if (at >= 0 && content.length >= at + FLOAT_FORMAT.length + 8) {
    const blockBytes = content.readUInt32LE(at + FLOAT_FORMAT.length);
    const segmentBlocks = content.readUInt32LE(at + FLOAT_FORMAT.length + 4);
    const { least, most } = BLOCK_BYTES;
    const isSize =
      blockBytes >= least && blockBytes <= most && (blockBytes & -blockBytes) === blockBytes;
    if (isSize && segmentBlocks > 0) return { blockBytes, segmentBlocks };
  }
  throw new LifeboatError({
    code: "BACKUP_INCOMPLETE",
    message: `the control file of backup ${backup} does not say how large its blocks are`,
    remedy: "restore without --delta, or another backup (lifeboat list)",
    details: { backup },
  });
}
