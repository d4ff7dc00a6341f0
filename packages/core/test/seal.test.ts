import { expect, test } from "vitest";
import { readSeal, type Seal, sealFrame } from "../src/seal.ts";

const seal: Seal = {
  content: { bytes: 17, sha256: "a5".repeat(32) },
  stored: { bytes: 9, sha256: "0f".repeat(32) },
};

test("a seal is read as it was written", () => {
  expect(readSeal(sealFrame(seal), "o")).toEqual(seal);
});

test("a seal of which any one bit is another is refused, or says another thing", () => {
  const frame = sealFrame(seal);
  for (let bit = 0; bit < frame.length * 8; bit++) {
    const flipped = Uint8Array.from(frame);
    flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ (1 << (bit & 7));
    let said: Seal | undefined;
    try {
      said = readSeal(flipped, "wal/o");
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: "CHECKSUM_MISMATCH", details: { object: "wal/o" } });
    }
    expect(said, `bit ${bit}`).not.toEqual(seal);
  }
});

test("a seal that is cut, or is followed by anything, is refused", () => {
  const frame = sealFrame(seal);
  const cut = [0, 3, frame.length - 1].map((length) => frame.subarray(0, length));
  for (const other of [...cut, frame.subarray(1), Buffer.concat([frame, frame])])
    expect(() => readSeal(other, "wal/o")).toThrow(/wal\/o is cut short/);
});
