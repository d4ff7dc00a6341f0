import type { Lsn } from "./lsn.ts";

/**
 * A WAL record that tells time or place. `micros` are microseconds since 1970, which a number holds
 * exactly until the year 2255.
 */
export type WalMark = { readonly lsn: Lsn } & (
  | { readonly kind: "commit" | "abort"; readonly xid: number; readonly micros: number }
  | { readonly kind: "restore-point"; readonly name: string; readonly micros: number }
  | { readonly kind: "checkpoint"; readonly micros: number }
  | { readonly kind: "backup-end" }
  | { readonly kind: "switch" }
);

/** Enough of a record to hold the header and the part of the main data that is read here. */
export const HEAD_BYTES = 128;
const RECORD_HEADER = 24;

const RM_XLOG = 0;
const RM_XACT = 1;

/** The server's clock counts from 2000-01-01; in microseconds. */
const POSTGRES_EPOCH = 946_684_800_000_000;

/** Fixed parts of an XLogRecord, from its first 24 bytes. */
export interface RecordHeader {
  readonly xid: number;
  readonly previous: Lsn;
  readonly info: number;
  readonly resourceManager: number;
}

export function readRecordHeader(head: Buffer): RecordHeader {
  return {
    xid: head.readUInt32LE(4),
    previous: head.readBigUInt64LE(8),
    info: head.readUInt8(16),
    resourceManager: head.readUInt8(17),
  };
}

/**
 * What a record says, if it is one of interest. The layouts are those of `access/xact.h` and
 * `catalog/pg_control.h`, the same from 15 to 18.
 * @param head the record's first bytes, at most {@link HEAD_BYTES}
 */
export function readMark(lsn: Lsn, header: RecordHeader, head: Buffer): WalMark | undefined {
  if (header.resourceManager === RM_XACT) return readTransactionMark(lsn, header, head);
  if (header.resourceManager === RM_XLOG) return readControlMark(lsn, header, head);
  return undefined;
}

function readTransactionMark(lsn: Lsn, header: RecordHeader, head: Buffer): WalMark | undefined {
  const kind = transactionKind(header.info & 0x70);
  const data = kind && mainData(head);
  if (!kind || !data || data.length < 8) return undefined;
  return { kind, lsn, xid: header.xid, micros: serverTime(data, 0) };
}

/** COMMIT and COMMIT PREPARED, ABORT and ABORT PREPARED: recovery stops by the time of any of them. */
function transactionKind(operation: number): "commit" | "abort" | undefined {
  if (operation === 0x00 || operation === 0x30) return "commit";
  if (operation === 0x20 || operation === 0x40) return "abort";
  return undefined;
}

function readControlMark(lsn: Lsn, header: RecordHeader, head: Buffer): WalMark | undefined {
  const data = mainData(head);
  switch (header.info & 0xf0) {
    case 0x00:
    case 0x10:
      return data && data.length >= 72
        ? { kind: "checkpoint", lsn, micros: unixTime(data, 64) }
        : undefined;
    case 0x40:
      return { kind: "switch", lsn };
    case 0x50:
      return { kind: "backup-end", lsn };
    case 0x70:
      return data && data.length >= 72
        ? { kind: "restore-point", lsn, name: cText(data.subarray(8)), micros: serverTime(data, 0) }
        : undefined;
    default:
      return undefined;
  }
}

/**
 * The main data of a record that refers to no block. Between the header and the data may stand the
 * replication origin (3 bytes) and the top-level transaction (5 bytes).
 */
function mainData(head: Buffer): Buffer | undefined {
  let at = RECORD_HEADER;
  while (at + 1 < head.length) {
    const id = head.readUInt8(at);
    if (id === 255) return head.subarray(at + 2, at + 2 + head.readUInt8(at + 1));
    if (id === 254) return head.subarray(at + 5);
    if (id === 253) at += 3;
    else if (id === 252) at += 5;
    else return undefined;
  }
  return undefined;
}

function serverTime(data: Buffer, at: number): number {
  return Number(data.readBigInt64LE(at)) + POSTGRES_EPOCH;
}

function unixTime(data: Buffer, at: number): number {
  return Number(data.readBigInt64LE(at)) * 1_000_000;
}

function cText(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end === -1 ? bytes.length : end);
}
