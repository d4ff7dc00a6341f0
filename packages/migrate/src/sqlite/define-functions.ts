import { isUtf8 } from "node:buffer";
import { hash } from "node:crypto";
import { release } from "@lifeboat/core";
import type { Database } from "better-sqlite3";

/** To give a row of a few hundred bytes back by itself would cost more than it. */
const WORTH_RELEASING_BYTES = 64 * 1024;

/**
 * What SQL alone can't say about a value. They see bytes (`CAST(… AS BLOB)`), never text that the
 * driver has decoded already, since that replaces broken sequences without a word.
 */
export function defineFunctions(db: Database): void {
  const options = { deterministic: true, directOnly: true };
  db.function(
    "lifeboat_is_utf8",
    options,
    taking((bytes) => (isUtf8(bytes) ? 1n : 0n)),
  );
  db.function(
    "lifeboat_md5",
    options,
    taking((row) => hash("md5", row)),
  );
  db.function("lifeboat_real", options, realBytes);
  db.function("lifeboat_real_hex", options, (real: number) => realBytes(real).toString("hex"));
  db.function("lifeboat_real_of", options, (hex: string) => Buffer.from(hex, "hex").readDoubleBE());
  db.function("lifeboat_zero", options, (zero: number) => (Object.is(zero, -0) ? "-0" : "0"));
  db.function("lifeboat_clean", options, taking(cleaned));
  db.function("lifeboat_unexpected", options, (type: string, place: string) => {
    throw new Error(`${place} holds a value of class ${type} that its profile did not show`);
  });
}

/** Gives the memory of what a function was given back at once: of large values hundreds of MB would else wait for the garbage collector. */
function taking<T>(say: (bytes: Buffer) => T): (bytes: Buffer) => T {
  return (bytes) => {
    const said = say(bytes);
    if (bytes.length >= WORTH_RELEASING_BYTES) release(bytes);
    return said;
  };
}

function cleaned(bytes: Buffer): string {
  return bytes.toString("utf8").replaceAll("\0", "");
}

/** The eight bytes of an IEEE 754 double, most significant first, as Postgres sends a float8. */
function realBytes(real: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleBE(real);
  return bytes;
}
