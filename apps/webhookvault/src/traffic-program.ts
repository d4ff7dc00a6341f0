import { fileURLToPath } from "node:url";

/** From the sources, or from the bundle in `dist/bin`: the program itself is never bundled. */
const place = import.meta.url.endsWith(".ts") ? "traffic.ts" : "../../src/traffic.ts";

/** The program that writes as the product does: `node <it> --database PATH | --url URL`. */
export const trafficProgram: string = fileURLToPath(new URL(place, import.meta.url));
