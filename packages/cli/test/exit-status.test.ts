import { LifeboatError } from "@lifeboat/core";
import { describe, expect, test } from "vitest";
import { exitStatus } from "../src/exit-status.ts";
import { stopDocument } from "../src/failure.ts";
import { withGrace } from "../src/grace.ts";
import { stopSwitch } from "../src/stop-signal.ts";

const KINDS = ["failed", "usage", "refused", "locked", "not-found"] as const;

function failure(kind: (typeof KINDS)[number], code = "X"): LifeboatError {
  return new LifeboatError({ code, kind, message: "m", remedy: "r" });
}

describe("the exit status", () => {
  test.each([
    ["failed", 1],
    ["usage", 2],
    ["refused", 3],
    ["locked", 4],
    ["not-found", 5],
  ] as const)("of a failure of kind %s is %i", (kind, status) => {
    expect(exitStatus(failure(kind), "backup", undefined)).toBe(status);
  });

  test("of a defect is 1", () => {
    expect(exitStatus(new TypeError("x is undefined"), "backup", undefined)).toBe(1);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("of a run stopped by %s is %i", (signal, status) => {
    expect(exitStatus(new Error("aborted"), "backup", signal)).toBe(status);
    expect(exitStatus(new Error("aborted"), "wal push", signal)).toBe(1);
    // Above 125, so that a stopped restore_command is no end of the archive.
    expect(exitStatus(new Error("aborted"), "wal fetch", signal)).toBe(status);
  });

  test("of wal fetch is 1 only when the segment is proved absent", () => {
    const statusOf = (thrown: unknown) => exitStatus(thrown, "wal fetch", undefined);
    expect(statusOf(failure("not-found", "WAL_MISSING"))).toBe(1);
    expect(KINDS.map((kind) => statusOf(failure(kind)))).toEqual([126, 126, 126, 126, 126]);
    expect(statusOf(new Error("out of memory"))).toBe(126);
  });

  test("of wal push is never above 125", () => {
    for (const kind of KINDS)
      expect(exitStatus(failure(kind), "wal push", undefined)).toBeLessThanOrEqual(125);
  });
});

test("the first stop signal aborts; those after it change nothing", () => {
  const stop = stopSwitch();
  try {
    process.emit("SIGTERM", "SIGTERM");
    process.emit("SIGINT", "SIGINT");
    expect(stop.signal.aborted).toBe(true);
    expect(stop.stoppedBy()).toBe("SIGTERM");
  } finally {
    stop.release();
  }
});

describe("short work that was asked to stop", () => {
  test("may end by itself", async () => {
    const controller = new AbortController();
    const { promise, resolve } = Promise.withResolvers<string>();
    const waiting = withGrace(promise, controller.signal);
    controller.abort();
    resolve("done");
    await expect(waiting).resolves.toBe("done");
  });

  test("is given up when it hangs", async () => {
    const controller = new AbortController();
    const waiting = withGrace(new Promise(() => {}), controller.signal);
    controller.abort(new Error("stopped by SIGTERM"));
    await expect(waiting).rejects.toThrow("stopped by SIGTERM");
  });
});

test("a stopped run whose end says itself what stays is not told that everything was cleaned up", () => {
  const remedy = (code: string) =>
    stopDocument("SIGINT", false, failure("failed", code)).error.remedy;
  expect(remedy("POSTGRES_LOST")).toContain("everything was cleaned up");
  for (const verb of ["CUTOVER", "ROLLBACK"])
    for (const end of ["HALF_DONE", "UNFINISHED"]) expect(remedy(`${verb}_${end}`)).toBe("r");
  for (const code of ["FINISH_STOPPED", "ABORT_STOPPED", "SWITCH_FAILED"])
    expect(remedy(code)).toBe("r");
});
