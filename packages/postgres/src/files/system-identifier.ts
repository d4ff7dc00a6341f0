import { open } from "node:fs/promises";
import { join } from "node:path";

const IDENTIFIER_BYTES = 8;

/**
 * A cluster's system identifier, decimal text, as the first eight bytes of its `global/pg_control`
 * say (`ControlFileData` in the server's `catalog/pg_control.h`).
 * @throws the system's error when there is no such file or it may not be read
 */
export async function readSystemIdentifier(dataDirectory: string): Promise<string> {
  const file = await open(join(dataDirectory, "global", "pg_control"), "r");
  try {
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(IDENTIFIER_BYTES),
      0,
      IDENTIFIER_BYTES,
      0,
    );
    if (bytesRead < IDENTIFIER_BYTES)
      throw new Error(`${dataDirectory}/global/pg_control is cut short`);
    return buffer.readBigUInt64LE(0).toString();
  } finally {
    await file.close();
  }
}
