import { fileURLToPath } from "node:url";

export { checks } from "./checks.ts";
export { createDatabase } from "./create.ts";
export { schema } from "./schema.ts";

/** The program that writes as the product does: `node <it> --database PATH | --url URL`. */
export const trafficProgram = fileURLToPath(new URL("traffic.ts", import.meta.url));
