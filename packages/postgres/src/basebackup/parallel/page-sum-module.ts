/**
 * A WebAssembly module that sums up a page as the server does (src/include/storage/checksum_impl.h of PostgreSQL): 32
 * sums side by side, each an FNV-1a variant over every 32nd word, four to a vector. Written down here opcode by opcode, since
 * JavaScript has no vectors and takes ten times as long. It imports its memory as `page.memory` and exports
 * `sum(from, to)`: where the page begins and ends in it.
 */
export function pageSumModule(): Uint8Array<ArrayBuffer> {
  const code = body();
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    // Types: (i32, i32) -> i32.
    ...section(1, [1, 0x60, 2, I32, I32, 1, I32]),
    ...section(2, [1, ...name("page"), ...name("memory"), 2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name("sum"), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
}

const PRIME = 16_777_619;
const BASES = [
  0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c,
  0xf8d4474f, 0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb,
  0xe58f764b, 0x187636bc, 0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4,
  0x783125bb, 0x6ca8eaa2, 0xe407eac6, 0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756,
];
const WORDS = 4;
const VECTORS = BASES.length / WORDS;
const VECTOR_BYTES = 16;

const I32 = 0x7f;
const V128 = 0x7b;
/** Locals: the parameters, eight vectors of sums, and two more. */
const FROM = 0;
const TO = 1;
const FIRST_SUM = 2;
const VALUE = FIRST_SUM + VECTORS;
const FACTOR = VALUE + 1;

const LOOP = [0x03, 0x40];
const BRANCH_IF_INNERMOST = [0x0d, 0];
const END = 0x0b;
const I32_LESS_UNSIGNED = 0x49;
const I32_ADD = 0x6a;
const I32_XOR = 0x73;
const V128_LOAD = vector(0x00);
const V128_CONST = vector(0x0c);
const I32X4_SPLAT = vector(0x11);
const I32X4_EXTRACT = vector(0x1b);
const V128_XOR = vector(0x51);
const I32X4_SHIFT_RIGHT_UNSIGNED = vector(0xad);
const I32X4_MULTIPLY = vector(0xb5);

function body(): number[] {
  const all = Array.from({ length: VECTORS }, (_, index) => index);
  const zeros = all.flatMap((index) => [...get(FIRST_SUM + index), ...set(VALUE), ...mix(index)]);
  return [
    ...[1, VECTORS + 2, V128],
    ...[...constant(PRIME), ...I32X4_SPLAT, ...set(FACTOR)],
    ...all.flatMap((index) => [...V128_CONST, ...basesOf(index), ...set(FIRST_SUM + index)]),
    ...LOOP,
    ...all.flatMap((index) => [
      ...[...get(FROM), ...load(index * VECTOR_BYTES)],
      ...[...get(FIRST_SUM + index), ...V128_XOR, ...set(VALUE), ...mix(index)],
    ]),
    ...[...get(FROM), ...constant(VECTORS * VECTOR_BYTES), I32_ADD, ...set(FROM)],
    ...[...get(FROM), ...get(TO), I32_LESS_UNSIGNED, ...BRANCH_IF_INNERMOST],
    END,
    // Two rounds of zeros, for the last words to spread.
    ...[...zeros, ...zeros],
    ...get(FIRST_SUM),
    ...all.slice(1).flatMap((index) => [...get(FIRST_SUM + index), ...V128_XOR]),
    ...set(VALUE),
    ...[...get(VALUE), ...I32X4_EXTRACT, 0],
    ...[1, 2, 3].flatMap((word) => [...get(VALUE), ...I32X4_EXTRACT, word, I32_XOR]),
    END,
  ];
}

/** sum = (value * PRIME) ^ (value >>> 17), where the value is the sum with the page's words in it. */
function mix(index: number): number[] {
  return [
    ...[...get(VALUE), ...get(FACTOR), ...I32X4_MULTIPLY],
    ...[...get(VALUE), ...constant(17), ...I32X4_SHIFT_RIGHT_UNSIGNED],
    ...[...V128_XOR, ...set(FIRST_SUM + index)],
  ];
}

function basesOf(index: number): Uint8Array {
  const bases = BASES.slice(index * WORDS, (index + 1) * WORDS);
  return new Uint8Array(Uint32Array.from(bases).buffer);
}

function get(local: number): number[] {
  return [0x20, local];
}

function set(local: number): number[] {
  return [0x21, local];
}

function constant(value: number): number[] {
  return [0x41, ...signed(value)];
}

/** @param offset from the address on the stack; 4 says that it is a multiple of 16 */
function load(offset: number): number[] {
  return [...V128_LOAD, 4, ...unsigned(offset)];
}

function vector(opcode: number): number[] {
  return [0xfd, ...unsigned(opcode)];
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

function name(text: string): number[] {
  return [text.length, ...Buffer.from(text)];
}

/** LEB128, as WebAssembly has all its numbers. */
function unsigned(value: number): number[] {
  const rest = value >>> 7;
  return rest === 0 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(rest)];
}

/** The same with a sign: the last byte's second bit is that of all before it. */
function signed(value: number): number[] {
  const rest = value >> 7;
  const isLast = (rest === 0 && (value & 0x40) === 0) || (rest === -1 && (value & 0x40) !== 0);
  return isLast ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(rest)];
}
