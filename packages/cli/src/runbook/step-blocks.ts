import type { DescribedStep } from "@lifeboat/core";
import { type Block, list, paragraph, words } from "./document.ts";

export interface ShownStep {
  readonly about: DescribedStep;
  /** How long it took before, in words. */
  readonly took: string;
}

/** The steps of the program, one section each. */
export function stepBlocks(steps: readonly ShownStep[]): Block[] {
  return steps.flatMap(({ about, took }, at) => [
    stepHeading(about, at + 1),
    paragraph(words(about.purpose)),
    list([
      ["Expected: ", ...words(about.expected)],
      ["If it fails: ", ...words(about.onFailure)],
      ["Took: ", took],
    ]),
  ]);
}

export function stepHeading({ id, title }: DescribedStep, number: number): Block {
  const text = `${title.charAt(0).toUpperCase()}${title.slice(1)}`;
  return { kind: "heading", level: 3, text: [`${number}. ${text} (`, { code: id }, ")"] };
}
