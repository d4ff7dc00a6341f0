/** An option as its flags name it. */
export interface OptionFlag {
  /** `--max-rate` */
  readonly long: string;
  /** Its name among the values: `maxRate`; of `--no-color`, `color`. */
  readonly name: string;
  readonly takesValue: boolean;
  /** `--no-…`: true unless it is given. */
  readonly negated: boolean;
}

/** Reads flags as commander does: `--max-rate <rate>`, `--force`, `--no-color`. */
export function optionFlag(flags: string): OptionFlag {
  const [long = "", value] = flags.split(" ");
  const negated = long.startsWith("--no-");
  const name = long
    .slice(negated ? "--no-".length : "--".length)
    .replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return { long, name, takesValue: value !== undefined, negated };
}
