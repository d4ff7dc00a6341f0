import { constants } from "node:os";

/** Ctrl-C, a polite kill, and a terminal that was closed. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface StopSwitch {
  /** Aborted by the first signal; those that follow change nothing, since clearing up is under way. */
  readonly signal: AbortSignal;
  /** The exit status of a program ended by that signal, as shells count; null without one. */
  status(): number | null;
}

export function stopSwitch(): StopSwitch {
  const controller = new AbortController();
  let status: number | null = null;
  for (const name of SIGNALS) {
    process.on(name, () => {
      status ??= 128 + constants.signals[name];
      controller.abort(new Error(`stopped by ${name}`));
    });
  }
  // Nobody looks on any more: `npm start | head`.
  process.stdout.on("error", () => {
    status ??= 128 + constants.signals.SIGPIPE;
    controller.abort(new Error("nobody reads the output"));
  });
  return { signal: controller.signal, status: () => status };
}
