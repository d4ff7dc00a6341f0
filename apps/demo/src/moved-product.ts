import type { DemoServer } from "./demo-server.ts";
import type { Product } from "./product.ts";
import type { TrafficProcess } from "./traffic-process.ts";

/** A product that lives in Postgres now. */
export interface MovedProduct {
  readonly product: Product;
  readonly server: DemoServer;
  readonly traffic: TrafficProcess;
}
