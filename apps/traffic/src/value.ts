/** What both databases take as a parameter and give back in a row. */
export type Value = string | number | bigint | Uint8Array | null;

export type Row = Readonly<Record<string, Value>>;
