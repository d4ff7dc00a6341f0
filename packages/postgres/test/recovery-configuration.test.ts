import { describe, expect, test } from "vitest";
import { parseSetting, parseSettings, settingLine } from "../src/files/setting-line.ts";
import {
  recoverySettings,
  restoreCommand,
  withRecovery,
} from "../src/restore/recovery-configuration.ts";

describe("a line of settings", () => {
  test.each([
    ["port = 5433", "port", "5433"],
    ["port=5433 # the second one", "port", "5433"],
    ["  Log_Directory 'pg log'", "log_directory", "pg log"],
    ["include 'a''b\\'c\\\\d'", "include", "a'b'c\\d"],
    ["shared_buffers = 128MB", "shared_buffers", "128MB"],
    ["timescaledb.max_background_workers = 8", "timescaledb.max_background_workers", "8"],
    ["name = ''", "name", ""],
    ["data_directory'/srv/other'", "data_directory", "/srv/other"],
    [
      "log_line_prefix = '%m [%p] # not a comment' # a comment",
      "log_line_prefix",
      "%m [%p] # not a comment",
    ],
    ["odd = '\\101\\t'", "odd", "A\t"],
  ])("%s", (line, name, value) => {
    expect(parseSetting(line)).toEqual({ name, value });
  });

  test.each(["", "   ", "# port = 1", "#port = 1", "port =", "port = 'open"])(
    "%j sets nothing",
    (line) => {
      expect(parseSetting(line)).toBeUndefined();
    },
  );

  test.each([
    "",
    "'",
    "''",
    "\\",
    "\\'",
    "a\nb",
    "\t#'\\n",
    "100 %",
    "naïve 🛟",
    "\\101",
    "'; x = 'y",
  ])("that gives %j is written so that it is read back as it was", (value) => {
    expect(parseSetting(settingLine({ name: "x", value }))).toEqual({ name: "x", value });
  });
});

describe("the recovery of a copy", () => {
  const from = { timeline: 3, fetchCommand: ["/opt/lifeboat", "wal", "fetch"] };
  const at = new Date("2026-11-23T07:00:00.250Z");
  const valuesOf = (plan: Parameters<typeof recoverySettings>[0]) =>
    Object.fromEntries(recoverySettings(plan, from).map(({ name, value }) => [name, value]));

  test("to the latest follows the latest timeline and sets no target", () => {
    expect(valuesOf({ target: { kind: "latest" }, timeline: null })).toEqual({
      restore_command:
        'mv -f "pg_wal/lifeboat.spool/%f" "%p" 2>/dev/null || exec /opt/lifeboat wal fetch %f "%p"',
      recovery_target_timeline: "latest",
      recovery_target_action: "promote",
      recovery_prefetch: "off",
    });
  });

  test("to a time names it in UTC with its offset", () => {
    const plan = { target: { kind: "time", at, exclusive: false }, timeline: 2 } as const;
    expect(valuesOf(plan)).toMatchObject({
      recovery_target_time: "2026-11-23 07:00:00.250+00",
      recovery_target_inclusive: "on",
      recovery_target_timeline: "2",
    });
  });

  test.each([
    [{ kind: "lsn", lsn: "0/3000028", exclusive: true } as const, "recovery_target_lsn"],
    [{ kind: "xid", xid: "742", exclusive: true } as const, "recovery_target_xid"],
  ])("exclusive of %o ends before it", (target, name) => {
    const values = valuesOf({ target, timeline: null });
    expect(values[name]).toBeTruthy();
    expect(values.recovery_target_inclusive).toBe("off");
  });

  test("of a backup alone stays on the timeline it was taken on", () => {
    expect(valuesOf({ target: { kind: "backup", id: "x" }, timeline: null })).toMatchObject({
      recovery_target: "immediate",
      recovery_target_timeline: "current",
    });
  });

  test("along the timeline that the backup was taken on asks for no history of it", () => {
    const plan = { target: { kind: "latest" }, timeline: 3 } as const;
    expect(valuesOf(plan)).toMatchObject({ recovery_target_timeline: "current" });
  });

  test("a command with blanks, quotes and per cent signs reaches the shell as it is", () => {
    expect(restoreCommand(["/my apps/it's", "--config", "100%.json"])).toBe(
      `'/my apps/it'\\''s' --config 100%%.json %f "%p"`,
    );
  });

  test("with nothing to fetch by stops, and does not end short", () => {
    expect(restoreCommand([])).toBe("exit 126");
  });
});

describe("postgresql.auto.conf of a copy", () => {
  const settings = [{ name: "recovery_target_time", value: "2026-11-23 07:00:00+00" }];
  /** Set wherever the original set them, also in a file that we do not see. */
  const noCommands = [
    { name: "archive_cleanup_command", value: "" },
    { name: "recovery_end_command", value: "" },
  ];

  test("keeps what ALTER SYSTEM set, and drops an older recovery's target", () => {
    const text = withRecovery(
      "# Do not edit\nwork_mem = '8MB'\nrecovery_target_xid = '12'\n",
      settings,
    );
    expect(parseSettings(text)).toEqual([
      { name: "work_mem", value: "8MB" },
      ...noCommands,
      ...settings,
    ]);
    expect(text).toContain("#recovery_target_xid = '12'");
  });

  test("clears a target that another file sets, before it sets its own", () => {
    const elsewhere = [{ name: "recovery_target_lsn", value: "0/1" }];
    expect(parseSettings(withRecovery("", settings, elsewhere))).toEqual([
      { name: "recovery_target_lsn", value: "" },
      ...noCommands,
      ...settings,
    ]);
  });
});
