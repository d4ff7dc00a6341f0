import type { Row } from "./table.ts";
import type { BenchRequest } from "./workplace.ts";

export async function benchPostgres(_: BenchRequest): Promise<Row[]> {
  return [];
}
