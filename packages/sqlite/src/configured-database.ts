/** A database of the configuration. */
export interface ConfiguredDatabase {
  /** Its folder in the repository. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
}
