export type StorageClass = "integer" | "real" | "text" | "blob";

/**
 * How the values of a SQLite column are written as values of a Postgres column, and so that they come
 * back exactly: decode(encode(v)) = v for every value that {@link Codec.classes} and the plan's proof
 * admit. All members are SQL: the values themselves never pass through JavaScript on their way.
 *
 * `c` is an expression of a SQLite column, `p` one of the Postgres column; neither is NULL there.
 */
export interface Codec {
  /** As plans and configurations name it. */
  readonly name: string;
  /** The storage classes it takes. Any other stored value is an error. */
  readonly classes: readonly StorageClass[];
  /** SQLite: true for what of those classes the type can hold; absent where it is all of them. A column's proof has seen to it before. */
  admits?(c: string): string;
  /** SQLite: the value in the Postgres type's input syntax, as text. */
  input(c: string): string;
  /** Whether that text may hold a backslash, tab or line end. */
  readonly free: boolean;
  /** SQLite: the content of the binary COPY field. Absent: the type has no binary form that SQL can make. */
  binary?(c: string): string;
  /** How many bytes that content always has; absent where it varies. */
  readonly binaryLength?: number;
  /**
   * Both sides: one text (or bytes, where {@link Codec.bytes}) for the value as SQLite holds it. Equal
   * canons mean equal values, of equal class.
   */
  canon(c: string): string;
  canonIn(p: string): string;
  /**
   * SQLite: the stored value again, of its class, from a canon that is not NULL. What this codec can't hold
   * gives a value of another canon, so a comparison shows it.
   */
  decode(canon: string): string;
  /** The canon is bytes of any kind rather than text. */
  readonly bytes: boolean;
  /** The canon may be of any length and content, so it is framed where values are joined. */
  readonly framed: boolean;
  /** Postgres orders the encoded values (texts in collation "C") as SQLite does the stored ones. */
  readonly ordered: boolean;
}
