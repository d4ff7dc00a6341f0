import { CUTOVER_STEPS, type CutoverStepId } from "@lifeboat/migrate";
import { sealedRecord } from "./sealed-record.ts";

/** Writes the record of a cutover that was taken back since, or of a rehearsal, with the seconds of its steps; 0 where left out. */
export async function recordedCutover(
  path: string,
  app: string,
  seconds: Partial<Record<CutoverStepId, number>>,
  verb: "cutover" | "rehearse" = "cutover",
  details: Readonly<Record<string, unknown>> = { holdSeconds: 0.02, switchSeconds: 1.5 },
): Promise<void> {
  const steps = CUTOVER_STEPS.map(({ id, title }) => ({
    title,
    ok: true,
    message: "",
    seconds: seconds[id] ?? 0,
  }));
  await sealedRecord(path, app, new Date(), verb, null, details, steps);
}
