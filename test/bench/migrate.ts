import type { Row } from "./table.ts";
import type { BenchRequest } from "./workplace.ts";

export async function benchMigrate(_: BenchRequest): Promise<Row[]> {
  return [];
}
