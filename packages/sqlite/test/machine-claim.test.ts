import { once } from "node:events";
import { connect } from "node:net";
import { ownProcessMark } from "@lifeboat/core";
import { expect, onTestFinished, test } from "vitest";
import { MachineClaim } from "../src/watch/machine-claim.ts";

test.runIf(process.platform === "linux")(
  "whoever asks who holds a name and does not hang up keeps nobody from giving it back",
  async () => {
    const file = `of-a-test:${process.pid}`;
    const claim = (await MachineClaim.take(file)) as MachineClaim;
    const asking = connect({ path: `\0lifeboat-watch-${file}`, allowHalfOpen: true });
    onTestFinished(() => void asking.destroy());
    const [told] = await once(asking, "data");
    expect(String(told)).toBe(ownProcessMark());
    expect(await MachineClaim.take(file)).toEqual({ mark: ownProcessMark() });
    await claim[Symbol.asyncDispose]();
    await using next = (await MachineClaim.take(file)) as MachineClaim;
    expect(next).toBeInstanceOf(MachineClaim);
  },
);
