import type { Lsn } from "./lsn.ts";

/**
 * A WAL record that tells time or place. `micros` are microseconds since 1970, which a number holds
 * exactly until the year 2255.
 */
export type WalMark = { readonly lsn: Lsn } & (
  | {
      readonly kind: "commit" | "abort";
      readonly xid: number;
      /** Its subtransactions, such as savepoints: rows may carry their ids. */
      readonly subtransactions: Uint32Array;
      readonly micros: number;
    }
  | { readonly kind: "restore-point"; readonly name: string; readonly micros: number }
  /** `micros` of the second in which it began; `redo` is where the WAL was then. */
  | { readonly kind: "checkpoint"; readonly micros: number; readonly redo: Lsn }
  /** `start` is the redo position of the backup that it ends. */
  | { readonly kind: "backup-end"; readonly start: Lsn }
  /** CREATE TABLESPACE, which the replay does again, at the same place. Empty for one that is made in place. */
  | { readonly kind: "tablespace"; readonly location: string }
  | { readonly kind: "switch" }
);

/** The fixed part of every record; what else of it is kept is told by it. */
export const RECORD_HEADER = 24;

/** Enough for the main data of a checkpoint, and of a restore point. */
const CONTROL_BYTES = 512;

/** A path is at most `MAXPGPATH`, 1024 bytes, long. */
const TABLESPACE_BYTES = 1100;

/**
 * Far above the 16 million savepoints that one transaction's end may list here, and what of a prepared one stands before its id
 * (subtransactions, files, invalidations). A longer record fills our memory.
 */
const MOST_TRANSACTION_BYTES = 64 << 20;

const RM_XLOG = 0;
const RM_XACT = 1;
const RM_TABLESPACE = 5;

/** The server's clock counts from 2000-01-01; in microseconds. */
const POSTGRES_EPOCH = 946_684_800_000_000;

/** Fixed parts of an XLogRecord, from its first 24 bytes. */
export interface RecordHeader {
  readonly xid: number;
  readonly previous: Lsn;
  readonly info: number;
  readonly resourceManager: number;
  /** Bytes of one entry of dropped statistics: 12, and 16 from version 18 on. */
  readonly statsEntry: number;
}

/** `XLOG_PAGE_MAGIC` of version 18. */
const MAGIC_18 = 0xd118;

/** @param magic of the page that the record ends on */
export function readRecordHeader(head: Buffer, magic: number): RecordHeader {
  return {
    xid: head.readUInt32LE(4),
    previous: head.readBigUInt64LE(8),
    info: head.readUInt8(16),
    resourceManager: head.readUInt8(17),
    statsEntry: magic >= MAGIC_18 ? 16 : 12,
  };
}

/** How many of its first bytes {@link readMark} wants of a record, by its header. */
export function bytesOfInterest(head: Buffer): number {
  const resourceManager = head.readUInt8(17);
  if (resourceManager === RM_XLOG) return CONTROL_BYTES;
  if (resourceManager === RM_TABLESPACE) return TABLESPACE_BYTES;
  const isEnd = resourceManager === RM_XACT && transactionKind(head.readUInt8(16) & 0x70);
  return isEnd ? MOST_TRANSACTION_BYTES : RECORD_HEADER;
}

/**
 * What a record says, if it is one of interest. The layouts are those of `access/xact.h`,
 * `catalog/pg_control.h` and `commands/tablespace.h`, the same from 15 to 18.
 * @param head the record's first bytes, as many as {@link bytesOfInterest} says
 */
export function readMark(lsn: Lsn, header: RecordHeader, head: Buffer): WalMark | undefined {
  if (header.resourceManager === RM_XACT) return readTransactionMark(lsn, header, head);
  if (header.resourceManager === RM_XLOG) return readControlMark(lsn, header, head);
  if (header.resourceManager === RM_TABLESPACE) return readTablespaceMark(lsn, header, head);
  return undefined;
}

function readTablespaceMark(lsn: Lsn, header: RecordHeader, head: Buffer): WalMark | undefined {
  const data = mainData(head);
  if ((header.info & 0xf0) !== 0x00 || !data) return undefined;
  return { kind: "tablespace", lsn, location: cText(data.subarray(4)) };
}

function readTransactionMark(lsn: Lsn, header: RecordHeader, head: Buffer): WalMark | undefined {
  const kind = transactionKind(header.info & 0x70);
  const data = kind && mainData(head);
  if (!kind || !data || data.length < 8) return undefined;
  const { prepared, subtransactions } = readParts(header, data);
  const xid = isPrepared(header) ? (prepared ?? 0) : header.xid;
  return { kind, lsn, xid, subtransactions, micros: serverTime(data, 0) };
}

const HAS_INFO = 0x80;
const PREPARED = [0x30, 0x40];

function isPrepared({ info }: RecordHeader): boolean {
  return PREPARED.includes(info & 0x70);
}

/** Which optional part there is, each beginning with a count, and the bytes of one entry (`access/xact.h`). */
const SUBTRANSACTIONS = 0x2;
const DROPPED_STATS = 0x100;
const COUNTED_PARTS = [
  { flag: SUBTRANSACTIONS, entry: 4 },
  { flag: 0x4, entry: 12 },
  { flag: DROPPED_STATS, entry: 12 },
  { flag: 0x8, entry: 16 },
] as const;
const HAS_DATABASE = 0x1;
const HAS_TWOPHASE = 0x10;

interface TransactionParts {
  /**
   * COMMIT PREPARED and ABORT PREPARED are written by another session: the transaction that they end
   * stands here. Undefined when it lies past what is kept of a record.
   */
  readonly prepared: number | undefined;
  readonly subtransactions: Uint32Array;
}

function readParts({ info, statsEntry }: RecordHeader, data: Buffer): TransactionParts {
  let subtransactions = new Uint32Array();
  if ((info & HAS_INFO) === 0 || data.length < 12) return { prepared: undefined, subtransactions };
  const parts = data.readUInt32LE(8);
  let at = 12;
  if (parts & HAS_DATABASE) at += 8;
  for (const { flag, entry } of COUNTED_PARTS) {
    if ((parts & flag) === 0) continue;
    if (at + 4 > data.length) return { prepared: undefined, subtransactions };
    const end = at + 4 + data.readUInt32LE(at) * (flag === DROPPED_STATS ? statsEntry : entry);
    if (flag === SUBTRANSACTIONS) subtransactions = numbersIn(data.subarray(at + 4, end));
    at = end;
  }
  const there = (parts & HAS_TWOPHASE) !== 0 && at + 4 <= data.length;
  return { prepared: there ? data.readUInt32LE(at) : undefined, subtransactions };
}

/** A copy: they stand in memory that the next record is read into, and at no multiple of four bytes. */
function numbersIn(bytes: Buffer): Uint32Array<ArrayBuffer> {
  const whole = bytes.subarray(0, bytes.length - (bytes.length % 4));
  return new Uint32Array(Uint8Array.from(whole).buffer);
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
        ? { kind: "checkpoint", lsn, micros: unixTime(data, 64), redo: data.readBigUInt64LE(0) }
        : undefined;
    case 0x40:
      return { kind: "switch", lsn };
    case 0x50:
      return data && data.length >= 8
        ? { kind: "backup-end", lsn, start: data.readBigUInt64LE(0) }
        : undefined;
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
