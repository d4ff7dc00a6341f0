import { LifeboatError } from "@lifeboat/core/errors";

/** Wrong usage of the command line. */
export function usage(message: string, remedy: string): LifeboatError {
  return new LifeboatError({ code: "USAGE", kind: "usage", message, remedy });
}
