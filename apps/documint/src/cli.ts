import { main } from "lifeboat";

/** Lifeboat's command with this product's configuration built in. */
export function run(argv: readonly string[]): Promise<number> {
  return main(argv, {
    program: "lifeboat-documint",
    configuration: async () => (await import("../lifeboat.config.ts")).default,
  });
}
