import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ownAccount } from "../src/files/account.ts";
import { writeDurably } from "../src/files/durable.ts";

test("a file is written over one that is there, and a link in its place is followed nowhere", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-durable-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const account = ownAccount();
  const path = join(folder, "file");
  for (const content of ["the first, which is longer", "the second"]) {
    await writeDurably(path, content, { account, mode: 0o600 });
    expect(await readFile(path, "utf8")).toBe(content);
  }
  const victim = join(folder, "victim");
  await writeFile(victim, "somebody's");
  await symlink(victim, join(folder, "link"));
  await expect(
    writeDurably(join(folder, "link"), "ours", { account, mode: 0o600 }),
  ).rejects.toMatchObject({ code: "ELOOP" });
  expect(await readFile(victim, "utf8")).toBe("somebody's");
});
