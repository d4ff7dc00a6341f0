/**
 * A position in the WAL as a number of bytes from its beginning. The manual's `pg_lsn`: 64 bits,
 * written as two hexadecimal numbers.
 */
export type Lsn = bigint;

/** Reads `16/B374D848`; undefined when the text is no position. */
export function parseLsn(text: string): Lsn | undefined {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (!match) return undefined;
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

/** Reads a position that was checked before or comes from a server. */
export function lsnOf(text: string): Lsn {
  const lsn = parseLsn(text);
  if (lsn === undefined) throw new Error(`"${text}" is not a WAL position`);
  return lsn;
}

/** Writes a position as the server does: `16/B374D848`. */
export function formatLsn(lsn: Lsn): string {
  return `${hex(lsn >> 32n)}/${hex(lsn & 0xffff_ffffn)}`;
}

function hex(value: bigint): string {
  return value.toString(16).toUpperCase();
}
