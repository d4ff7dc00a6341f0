import { chmod, chown, mkdir, mkdtemp, rm, stat, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { stateDirectory } from "../src/state-directory.ts";

describe("the state of an account without a home", () => {
  let shared: string;
  let own: string;
  beforeEach(async () => {
    shared = await mkdtemp(join(tmpdir(), "lifeboat-state-"));
    own = join(shared, `lifeboat-${process.getuid?.()}`);
  });
  afterEach(() => rm(shared, { recursive: true, force: true }));

  test("lies in a folder that is closed to others, made at once", async () => {
    expect(stateDirectory({}, shared)).toBe(own);
    expect((await stat(own)).mode & 0o777).toBe(0o700);
    expect(stateDirectory({}, shared)).toBe(own);
  });

  test.each<[string, () => Promise<void>]>([
    [
      "where others may write",
      async () => {
        await mkdir(own);
        await chmod(own, 0o777);
      },
    ],
    ["that is a link", () => symlink(tmpdir(), own)],
  ])("is not looked for in one %s", async (_, lay) => {
    await lay();
    expect(() => stateDirectory({}, shared)).toThrow(
      expect.objectContaining({ code: "STATE_UNSAFE" }),
    );
  });

  test.runIf(process.getuid?.() === 0)("is not looked for in another account's", async () => {
    await mkdir(own, { mode: 0o700 });
    await chown(own, 65534, 65534);
    expect(() => stateDirectory({}, shared)).toThrow(
      expect.objectContaining({ code: "STATE_UNSAFE" }),
    );
  });
});
