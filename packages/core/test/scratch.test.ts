import { chown, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { makeScratch, ownProcessMark } from "@lifeboat/core";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lifeboat-scratches-"));
  vi.stubEnv("TMPDIR", folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** As a process of this machine left it that is gone: no number is as high. */
const abandoned = (name: string) =>
  `lifeboat-scratch-${ownProcessMark().replace(/-\d+-\d+$/, "-99999999-1")}-${name}`;

test.runIf(process.getuid?.() === 0)(
  "what a killed run left is removed by the next one of its account, and by no other's",
  async () => {
    for (const name of ["ours", "theirs"]) await mkdir(join(folder, abandoned(name)));
    await chown(join(folder, abandoned("theirs")), 12_345, 12_345);
    const made = await makeScratch();
    const left = [abandoned("theirs"), basename(made)].toSorted();
    expect((await readdir(folder)).toSorted()).toEqual(left);
  },
);
