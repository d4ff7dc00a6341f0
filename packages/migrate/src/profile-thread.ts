import { CheckpointWindow } from "./checkpoint-window.ts";
import type { Part } from "./first-shapes.ts";
import { type PartProfile, profileColumns } from "./profile-columns.ts";
import type { OpenShapes } from "./profile-part.ts";
import { serveThread } from "./thread/serve-thread.ts";

/** Some rows of a table to profile. */
export interface ProfileTask {
  readonly table: string;
  readonly part: Part;
  readonly columns: readonly string[];
}

/** The thread of `ProfileHelper`. Each part is read in a snapshot of its own: the other thread holds another one anyway. */
serveThread<ProfileTask, PartProfile>((db) => {
  const window = new CheckpointWindow(db);
  let table = "";
  let open: OpenShapes = new Map();
  return (task) => {
    if (task.table !== table) open = new Map();
    table = task.table;
    window.await();
    db.exec("BEGIN");
    try {
      return { value: profileColumns(db, task.part, task.columns, open) };
    } finally {
      if (db.inTransaction) db.exec("COMMIT");
    }
  };
});
