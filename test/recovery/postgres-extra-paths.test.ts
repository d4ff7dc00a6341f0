import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { backup } from "@lifeboat/core";
import { postgresEngine } from "@lifeboat/postgres";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { restoreBeside } from "../support/postgres-copies.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

let cluster: TestCluster;
let kept: ClusterRepository;
let outside: string;

beforeAll(async () => {
  cluster = await startCluster();
  kept = await repositoryBeside(cluster);
  outside = join(cluster.directory, "etc");
  await mkdir(join(outside, "tls", "deep"), { recursive: true });
  await writeFile(join(outside, "tls", "server.key"), "a secret", { mode: 0o600 });
  await writeFile(join(outside, "tls", "deep", "ca.crt"), "a certificate");
  await writeFile(join(outside, "thesaurus.ths"), "one : two");
  if (cluster.account.foreign)
    await execa("chown", ["-R", `${cluster.account.uid}:${cluster.account.gid}`, outside]);
});
afterAll(() => cluster?.stop());

const take = (extraPaths: readonly string[]) =>
  backup({
    repository: kept.repository,
    engine: postgresEngine({ connection: { url: cluster.superuserUrl, extraPaths } }),
    type: "full",
    options: {},
    signal: new AbortController().signal,
  });

test("files and folders that are listed are kept with the backup, and laid into the copy with its owner", async () => {
  const { id } = await take([join(outside, "tls"), join(outside, "thesaurus.ths")]);
  const to = join(cluster.directory, "copy-with-extras");
  const copy = await restoreBeside(cluster, kept, {
    target: { kind: "backup", id },
    to,
    fetchCommand: ["false"],
  });
  const laid = join(to, "lifeboat_extra_paths", outside);
  expect(await readFile(join(laid, "tls", "server.key"), "utf8")).toBe("a secret");
  expect(await readFile(join(laid, "tls", "deep", "ca.crt"), "utf8")).toBe("a certificate");
  expect(await readFile(join(laid, "thesaurus.ths"), "utf8")).toBe("one : two");
  const { mode, uid } = await stat(join(laid, "tls", "server.key"));
  expect(mode & 0o777).toBe(0o600);
  expect(uid).toBe(cluster.account.uid);
  expect(copy.findings.map(({ id: each }) => each)).toContain("extra-paths-laid");
  await rm(to, { recursive: true });
});

test("one that is missing or a link is named, and the others are kept", async () => {
  await execa("ln", ["-sf", "/etc/passwd", join(outside, "link")]);
  const { findings } = await take([
    join(outside, "nowhere"),
    join(outside, "link"),
    join(outside, "thesaurus.ths"),
  ]);
  const unread = findings.filter(({ id }) => id === "extra-path-unread");
  expect(unread.map(({ summary }) => summary)).toEqual([
    expect.stringContaining(join(outside, "nowhere")),
    expect.stringContaining(join(outside, "link")),
  ]);
});

test("nothing of them is stored where none is listed", async () => {
  const { id } = await take([]);
  const { manifests } = await kept.repository.backups(kept.folder);
  const roles = manifests.find((each) => each.id === id)?.objects.map(({ role }) => role);
  expect(roles).not.toContain("extra-paths");
});
