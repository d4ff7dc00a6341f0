import { WatchNotes } from "@lifeboat/core";
import { stateDirectory } from "./state-directory.ts";

/** Where the watches of this account leave word for `status`. */
export function watchNotes(): WatchNotes {
  return new WatchNotes(stateDirectory());
}
