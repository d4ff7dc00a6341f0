import { LifeboatError } from "@lifeboat/core";

const BLOCK = 512;
/** Past 8 GiB a size is a binary number with the first bit set, as GNU tar and the server write it. */
const LARGEST_OCTAL = 0o77777777777;
const NAME_BYTES = 100;
const PREFIX_BYTES = 155;

export interface TarMember {
  readonly path: string;
  readonly bytes: number;
  readonly mode: number;
  readonly modified: Date;
  readonly kind: "file" | "directory";
}

/** The header of a member (pax, "ustar Interchange Format"), as pg_basebackup's tars have it. */
export function tarHeader(member: TarMember): Buffer {
  const header = Buffer.alloc(BLOCK);
  const { name, prefix } = nameOf(member.kind === "directory" ? `${member.path}/` : member.path);
  header.write(name, 0);
  octal(header, member.mode, { at: 100, width: 8 });
  octal(header, 0, { at: 108, width: 8 });
  octal(header, 0, { at: 116, width: 8 });
  if (member.bytes <= LARGEST_OCTAL) octal(header, member.bytes, { at: 124, width: 12 });
  else {
    header.writeUInt8(0x80, 124);
    header.writeBigUInt64BE(BigInt(member.bytes), 128);
  }
  octal(header, Math.max(0, Math.floor(member.modified.getTime() / 1000)), { at: 136, width: 12 });
  header.write("        ", 148);
  header.write(member.kind === "directory" ? "5" : "0", 156);
  header.write("ustar\u000000", 257);
  header.write(prefix, 345);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

/** The zeros behind a member's content. */
export function tarPadding(bytes: number): Buffer {
  return Buffer.alloc((BLOCK - (bytes % BLOCK)) % BLOCK);
}

/** Two blocks of zeros close an archive. */
export const TAR_END: Uint8Array = Buffer.alloc(2 * BLOCK);

function octal(header: Buffer, value: number, { at, width }: { at: number; width: number }): void {
  header.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at);
}

/** A name that is too long is parted at a slash. */
function nameOf(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= NAME_BYTES) return { name: path, prefix: "" };
  for (
    let at = path.lastIndexOf("/", path.length - 2);
    at > 0;
    at = path.lastIndexOf("/", at - 1)
  ) {
    const prefix = path.slice(0, at);
    const name = path.slice(at + 1);
    if (Buffer.byteLength(name) > NAME_BYTES) break;
    if (Buffer.byteLength(prefix) <= PREFIX_BYTES) return { name, prefix };
  }
  throw new LifeboatError({
    code: "NAME_TOO_LONG",
    message: `the file name ${path} is too long for a tar archive`,
    remedy: "move what is not the server's own out of the data directory",
    details: { path },
  });
}
