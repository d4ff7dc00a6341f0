import { describe, expect, it } from "vitest";
import { type Clock, ProductPace } from "../../packages/migrate/src/product-pace.ts";

const A_SECOND = 1_000;
const READ_MS = 10;

/** A walk in short reads, in a time of its own, beside a product that keeps `share` of its writes while it is read. */
class Walk {
  readonly #share: number;
  readonly #pace: ProductPace;
  #now = 0;
  #writes = 0;
  #writesASecond: number;

  constructor(share: number, writesASecond = A_SECOND) {
    this.#share = share;
    this.#writesASecond = writesASecond;
    const clock: Clock = {
      now: () => this.#now,
      sleep: async (milliseconds) => this.#pass(milliseconds, this.#writesASecond),
    };
    this.#pace = new ProductPace(() => BigInt(Math.floor(this.#writes)), { clock });
    this.#read = () => this.#pass(READ_MS, this.#writesASecond * this.#share);
  }

  readonly #read: () => void;

  #pass(milliseconds: number, writesASecond: number): void {
    this.#now += milliseconds;
    this.#writes += (milliseconds / 1000) * writesASecond;
  }

  work(seconds: number): void {
    this.#pass(seconds * 1000, this.#writesASecond * this.#share);
  }

  /** The disk lets neither the walk nor the product do anything. */
  stall(seconds: number): void {
    this.#pass(seconds * 1000, 0);
  }

  endProduct(): void {
    this.#writesASecond = 0;
  }

  /** @returns for how many seconds it rests before its next read */
  async rest(): Promise<number> {
    const began = this.#now;
    await this.#pace.between(new AbortController().signal);
    return (this.#now - began) / 1000;
  }

  /** @returns the share of its writes that the product kept, and that of the time in which was rested */
  async during(seconds: number): Promise<{ kept: number; rested: number }> {
    const [began, writes, rested] = [this.#now, this.#writes, this.#pace.restedSeconds];
    const { signal } = new AbortController();
    while (this.#now < began + seconds * 1000) {
      this.#read();
      await this.#pace.between(signal);
    }
    const took = (this.#now - began) / 1000;
    return {
      kept: (this.#writes - writes) / (took * A_SECOND),
      rested: (this.#pace.restedSeconds - rested) / took,
    };
  }
}

describe("the pace of a long walk beside a product that writes", () => {
  it.each([0.75, 0.5, 0.35])(
    "leaves nine in ten of its writes to a product that would keep %s of them",
    async (share) => {
      const { kept, rested } = await new Walk(share).during(60);
      expect(kept).toBeGreaterThan(0.9);
      expect(rested).toBeLessThan(0.95);
    },
  );

  it("rests for a product that keeps its writes a fifth of the time at most, to see that it does", async () => {
    const { rested } = await new Walk(0.98).during(60);
    expect(rested).toBeGreaterThan(0);
    expect(rested).toBeLessThan(0.2);
  });

  it("does not take the few writes of a product for a measure", async () => {
    const { rested } = await new Walk(0.5, 5).during(60);
    expect(rested).toBeLessThan(0.2);
  });

  it("does not rest where nobody writes", async () => {
    expect((await new Walk(1, 0).during(60)).rested).toBe(0);
  });

  it("rests no longer beside a fast product than what it writes meanwhile can be brought", async () => {
    expect((await new Walk(0.35, 400_000).during(60)).rested).toBeLessThan(0.4);
  });

  it("goes on for all that where the product stands still beside it", async () => {
    expect((await new Walk(0).during(60)).rested).toBeLessThan(0.95);
  });

  it("does not rest for minutes because all stood still for a while", async () => {
    const walk = new Walk(0.9);
    await walk.during(5);
    walk.stall(30);
    await walk.rest();
    walk.work(0.5);
    expect(await walk.rest()).toBeLessThan(30);
  });

  it("ends its rest where the product has stopped writing", async () => {
    const walk = new Walk(0.1);
    walk.work(2);
    await walk.rest();
    walk.work(2);
    expect(await walk.rest()).toBeGreaterThan(10);
    walk.work(2);
    walk.endProduct();
    expect(await walk.rest()).toBeLessThan(2);
  });

  it("ends its rest when it is told to stop", async () => {
    const stop = new AbortController();
    let writes = 0n;
    const pace = { calmWork: 0, calmRest: 2 ** 31 - 1, work: 0, settling: 0 };
    const resting = new ProductPace(() => writes++, { pace }).between(stop.signal);
    stop.abort(new Error("stopped"));
    await expect(resting).rejects.toThrow(/abort/i);
  });
});
