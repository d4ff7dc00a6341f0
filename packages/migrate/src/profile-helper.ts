import { siblingModule } from "@lifeboat/core";
import type { PartProfile } from "./profile-columns.ts";
import type { ProfileTask } from "./profile-thread.ts";
import { SqliteThread } from "./thread/sqlite-thread.ts";

/** One part is being read, one waits: then it never idles while this thread reads a part of its own. */
const AT_ONCE = 2;

/** Takes every other part of a large table, on a core of its own. */
export class ProfileHelper implements AsyncDisposable {
  readonly #thread: SqliteThread<ProfileTask, PartProfile>;
  #given = 0;

  /** @param path of the SQLite database */
  constructor(path: string) {
    this.#thread = new SqliteThread(siblingModule(import.meta.url, "profile-thread"), path);
  }

  get isFree(): boolean {
    return this.#thread.open < AT_ONCE;
  }

  give(task: ProfileTask): void {
    this.#given++;
    this.#thread.ask(task);
  }

  /** What is done by now; with `all` what it was given, once that is done. */
  async *done(all: boolean): AsyncGenerator<PartProfile> {
    while (all ? this.#given > 0 : this.#thread.ready > 0) {
      this.#given--;
      yield await this.#thread.next();
    }
  }

  /** Lets go of what it was given, of a table that failed and that nobody wants the rest of. */
  async discard(): Promise<void> {
    for (; this.#given > 0; this.#given--) await this.#thread.next().catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread[Symbol.asyncDispose]();
  }
}
