import { LifeboatError, Repository, RepositoryMemory } from "@lifeboat/core";
import { fetchWal, prefetchWal, pushAhead, pushWal } from "@lifeboat/postgres/archive";
import { filesystemStorage } from "@lifeboat/storage";

/**
 * `archive_command` and `restore_command` of test servers: REPOSITORY STATE push PATH, or … fetch NAME DESTINATION;
 * `push-lagging` starts a pusher where many files wait.
 */
const [path = "", state = "", verb, name = "", destination = ""] = process.argv.slice(2);

const prefetchCommand = [process.execPath, process.argv[1] as string, path, state, "prefetch"];

try {
  const repository = await Repository.open({
    storage: filesystemStorage({ path }),
    app: "test",
    memory: new RepositoryMemory(state),
    mode: verb?.startsWith("push") ? "write" : "read",
  });
  const own = [process.execPath, process.argv[1] as string, path, state];
  const { signal } = new AbortController();
  if (verb === "push") await pushWal({ repository, path: name });
  else if (verb === "push-lagging")
    await pushWal({ repository, path: name, aheadCommand: [...own, "push-ahead"] });
  else if (verb === "push-ahead")
    await pushAhead({ repository, dataDirectory: name, idleMs: 2_000, signal });
  else if (verb === "prefetch")
    await prefetchWal({ repository, after: name, spool: destination, idleMs: 2_000, signal });
  else await fetchWal({ repository, name, destination, prefetchCommand });
} catch (thrown) {
  process.stderr.write(`${String(thrown)}\n`);
  const missing = thrown instanceof LifeboatError && thrown.kind === "not-found";
  process.exitCode = verb?.startsWith("push") || missing ? 1 : 126;
}
