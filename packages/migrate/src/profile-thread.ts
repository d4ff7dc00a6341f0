import { type PartProfile, profileColumns } from "./profile-columns.ts";
import type { OpenShapes, Part } from "./profile-part.ts";
import { serveThread } from "./thread/serve-thread.ts";

/** Some rows of a table to profile. */
export interface ProfileTask {
  readonly table: string;
  readonly part: Part;
  readonly columns: readonly string[];
}

/** The thread of `ProfileHelper`. It holds a snapshot of its own, from the first part on. */
serveThread<ProfileTask, PartProfile>((db) => {
  db.exec("BEGIN");
  let table = "";
  let open: OpenShapes = new Map();
  return (task) => {
    if (task.table !== table) open = new Map();
    table = task.table;
    return { value: profileColumns(db, task.part, task.columns, open) };
  };
});
