import type { DatabaseFacts, HeldFile } from "../hold/held.ts";
import type { CopiedBack } from "./holding.ts";

/** A file that is held by the reader that took hold once all was copied back. */
export function heldAfter(
  { at, place, gateMs }: CopiedBack,
  by: { readonly facts: DatabaseFacts; isOpen(): boolean; release(): void },
): HeldFile {
  let held = true;
  return {
    way: "pin",
    isHeld: () => held && by.isOpen(),
    gateMs,
    consistentAt: at,
    place,
    facts: by.facts,
    release() {
      if (held) by.release();
      held = false;
      return gateMs;
    },
  };
}
