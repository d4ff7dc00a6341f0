import { median, spread } from "./spread.ts";

/** What the issue asks for. `worst` holds every value against it, else the median counts. */
export interface Target {
  readonly atMost?: number;
  readonly atLeast?: number;
  readonly worst?: boolean;
}

/** A line of the report, as Markdown's cells. */
export interface Row {
  readonly what: string;
  readonly ours: string;
  readonly against: string;
  readonly ratio: string;
  readonly target: string;
  readonly met: string;
}

const SIGN = { atMost: "≤", atLeast: "≥" } as const;

/** Ours against a peer's, measured in turn: the ratio is taken run by run. */
export function comparedRow(init: {
  readonly what: string;
  readonly ours: readonly number[];
  readonly peer: string;
  readonly theirs: readonly number[];
  readonly unit: string;
  readonly target?: Target;
  /** What is taken as the ratio, where it is not ours over theirs. */
  readonly inverse?: boolean;
}): Row {
  const { what, ours, peer, theirs, unit, target } = init;
  const ratios = ours.map((value, run) => {
    const other = theirs[run] ?? Number.NaN;
    return init.inverse ? other / value : value / other;
  });
  return {
    what,
    ours: `${spread(ours)} ${unit}`,
    against: `${peer}: ${spread(theirs)} ${unit}`,
    ratio: spread(ratios),
    target: target ? `${textOf(target)} ×` : "",
    met: target ? isMet(ratios, target) : "",
  };
}

/** A value that is held against a number. */
export function valueRow(init: {
  readonly what: string;
  readonly values: readonly number[];
  readonly unit: string;
  readonly target?: Target;
  readonly against?: string;
}): Row {
  const { what, values, unit, target, against = "" } = init;
  return {
    what,
    ours: `${spread(values)} ${unit}`,
    against,
    ratio: "",
    target: target ? `${textOf(target)} ${unit}` : "",
    met: target ? isMet(values, target) : "",
  };
}

/** Something that could not be measured here, and why. */
export function missingRow(what: string, why: string): Row {
  return { what, ours: why, against: "", ratio: "", target: "", met: "" };
}

/** The report as it goes into the README. */
export function markdown(rows: readonly Row[]): string {
  const lines = rows.map(({ what, ours, against, ratio, target, met }) =>
    `| ${[what, ours, against, ratio, target, met].join(" | ")} |`.replaceAll(/ {2,}/g, " "),
  );
  return [
    "| | ours | against | ratio | target | met |",
    "| --- | --- | --- | --- | --- | --- |",
    ...lines,
  ].join("\n");
}

function textOf({ atMost, atLeast, worst }: Target): string {
  const text = atMost !== undefined ? `${SIGN.atMost} ${atMost}` : `${SIGN.atLeast} ${atLeast}`;
  return worst ? `worst ${text}` : text;
}

function isMet(values: readonly number[], { atMost, atLeast, worst }: Target): string {
  const counted = worst ? values : [median(values)];
  const met = counted.every(
    (value) =>
      value <= (atMost ?? Number.POSITIVE_INFINITY) &&
      value >= (atLeast ?? Number.NEGATIVE_INFINITY),
  );
  return met ? "met" : "**not met**";
}
