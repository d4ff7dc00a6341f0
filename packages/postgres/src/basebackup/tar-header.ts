/** Bytes of a header, and what a member's content is filled up to. */
export const TAR_BLOCK = 512;
const CHECKSUM = { start: 148, end: 156 };
const BLANK = 0x20;
const TYPE_FLAG = 156;

/** A member's type flag; older tars write a file's as NUL. */
export function typeOf(header: Uint8Array): string {
  const flag = String.fromCharCode(header[TYPE_FLAG] ?? 0);
  return flag === "\0" ? "0" : flag;
}

export function modeOf(header: Buffer): number {
  return Number.parseInt(textOf(header.subarray(100, 108)).trim() || "0", 8);
}

/** To the second. */
export function modifiedOf(header: Buffer): Date {
  return new Date(Number.parseInt(textOf(header.subarray(136, 148)).trim() || "0", 8) * 1000);
}

/** How many bytes follow a member's content up to the next header. */
export function paddingOf(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
}

/** A long name is parted at a slash (pax, "ustar Interchange Format"). */
export function nameOf(header: Buffer): string {
  const name = textOf(header.subarray(0, 100));
  const prefix =
    textOf(header.subarray(257, 263)) === "ustar" ? textOf(header.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** By its checksum: the sum of its bytes, that field taken as blanks (pax, "ustar Interchange Format"). */
export function isHeader(header: Buffer): boolean {
  const { start, end } = CHECKSUM;
  const sum = header.reduce(
    (total, byte, at) => total + (at >= start && at < end ? BLANK : byte),
    0,
  );
  return Number.parseInt(textOf(header.subarray(start, end)).trim(), 8) === sum;
}

function textOf(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString("latin1", 0, end === -1 ? field.length : end);
}

/** Octal text; past 8 GiB a binary number with the first bit set, as GNU tar and the server write it. */
export function sizeOf(field: Buffer): number {
  if (((field[0] ?? 0) & 0x80) === 0) return Number.parseInt(textOf(field).trim() || "0", 8);
  return Number(field.readBigUInt64BE(4));
}
