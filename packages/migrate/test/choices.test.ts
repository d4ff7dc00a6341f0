import { expect, it } from "vitest";
import { assertCodecsKnown } from "../src/choices.ts";

it("takes the codecs that findings offer", () => {
  const choices = { "t.a": { type: "bytea", codec: "text-bytes" }, t: { table: "skip" } } as const;
  expect(() => assertCodecsKnown(choices)).not.toThrow();
});

it("refuses another one as wrong usage, naming its place and what may stand there", () => {
  expect(() => assertCodecsKnown({ "t.a": { codec: "rot13" } })).toThrow(
    expect.objectContaining({
      code: "CHOICE_UNKNOWN",
      kind: "usage",
      message: expect.stringMatching(/^migrate\.columns\["t\.a"\]\.codec is none of .*text-bytes/),
    }),
  );
});
