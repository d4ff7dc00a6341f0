/** One option of a verb, as the help, the README and the parser know it. */
export interface VerbOption {
  /** As commander reads it: `--at <time>`, `--force`. */
  readonly flags: string;
  /** What it does, lower case, without a full stop. */
  readonly help: string;
  /** Turns the text into the value, or throws a LifeboatError of kind `usage`. */
  readonly parse?: (text: string) => unknown;
  /** May be given several times; the value is a list. */
  readonly repeatable?: boolean;
  readonly required?: boolean;
  /** The only values there are. */
  readonly values?: readonly string[];
  /** An empty text is a value too; of any other option it is a variable of a script that was not set. */
  readonly mayBeEmpty?: true;
  /** Those of the contract that are not built: `true` for the whole option, or the values of it. */
  readonly notBuilt?: true | readonly string[];
}

export interface VerbArgument {
  /** As commander reads it: `<path>`. */
  readonly name: string;
  readonly help: string;
}
