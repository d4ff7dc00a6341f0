import { LifeboatError, Repository, RepositoryMemory } from "@lifeboat/core";
import { fetchWal, prefetchWal, pushWal } from "@lifeboat/postgres/archive";
import { filesystemStorage } from "@lifeboat/storage";

/** `archive_command` and `restore_command` of test servers: REPOSITORY STATE push PATH, or … fetch NAME DESTINATION. */
const [path = "", state = "", verb, name = "", destination = ""] = process.argv.slice(2);

const prefetchCommand = [process.execPath, process.argv[1] as string, path, state, "prefetch"];

try {
  const repository = await Repository.open({
    storage: filesystemStorage({ path }),
    app: "test",
    memory: new RepositoryMemory(state),
    mode: verb === "push" ? "write" : "read",
  });
  if (verb === "push") await pushWal({ repository, path: name });
  else if (verb === "prefetch") {
    const signal = new AbortController().signal;
    await prefetchWal({ repository, after: name, spool: destination, idleMs: 2_000, signal });
  } else await fetchWal({ repository, name, destination, prefetchCommand });
} catch (thrown) {
  process.stderr.write(`${String(thrown)}\n`);
  const missing = thrown instanceof LifeboatError && thrown.kind === "not-found";
  process.exitCode = verb === "push" || missing ? 1 : 126;
}
