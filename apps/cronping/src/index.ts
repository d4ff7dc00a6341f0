export { checks } from "./checks.ts";
export { createDatabase } from "./create.ts";
export { schema } from "./schema.ts";
export { trafficProgram } from "./traffic-program.ts";
