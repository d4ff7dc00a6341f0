import { execa } from "execa";

/**
 * Ends a server and removes scratch folders when the process that made them is gone, however it
 * went: kill -9 runs no handler, but closes our end of the watchdog's stdin.
 *
 * The server is ended by SIGQUIT (immediate shutdown: crash-safe, and nobody is left to wait for
 * more), after 10 s by SIGKILL.
 */
const SCRIPT = `
server=
while read -r word pid; do
  case $word in
    guard) server=$pid ;;
    release) server= ;;
  esac
done
if [ -n "$server" ]; then
  kill -QUIT "$server"
  tries=0
  while kill -0 "$server" && [ "$tries" -lt 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  kill -KILL "$server"
fi
rm -rf -- "$@"
`;

export interface Watchdog {
  /** From now on this server is ended if we go. */
  guard(pid: number): void;
  /** The server has ended: its process id may be given to another. */
  release(): void;
  /** Nothing is left to watch; folders that are still there are removed. May be called twice. */
  end(): Promise<void>;
}

/** Starts a watchdog over folders; they need not be there yet. */
export function startWatchdog(folders: readonly string[]): Watchdog {
  // In a session of its own, so that Ctrl-C in a terminal does not end it together with us.
  const shell = execa("/bin/sh", ["-c", SCRIPT, "lifeboat-watchdog", ...folders], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
    cwd: "/",
    detached: true,
    cleanup: false,
    reject: false,
  });
  // We may end without it: that is what it is for.
  shell.nodeChildProcess.unref();
  const say = (line: string) => shell.stdin.write(`${line}\n`);
  return {
    guard: (pid) => say(`guard ${pid}`),
    release: () => say("release"),
    end: async () => {
      shell.stdin.end();
      shell.nodeChildProcess.ref();
      await shell;
    },
  };
}
