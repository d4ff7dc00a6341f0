import { LifeboatError } from "@lifeboat/core";
import { expect, test } from "vitest";
import { baseBackupFailure } from "../src/basebackup/base-backup-failure.ts";

test("what failed on our side stays what it is; what the server says comes with its last warning", () => {
  const full = new LifeboatError({
    code: "REPOSITORY_FULL",
    message: "no room",
    remedy: "make room",
  });
  expect(baseBackupFailure(full, ["a warning"])).toBe(full);
  expect(baseBackupFailure(new Error("aborted"), ["a first", "a last"])).toMatchObject({
    code: "BASE_BACKUP_FAILED",
    message: "the base backup failed: aborted (a last)",
  });
});
