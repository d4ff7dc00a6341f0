import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filesystemStorage, memoryStorage } from "@lifeboat/storage";
import { afterAll } from "vitest";
import { storageContract } from "./storage.contract.ts";

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

storageContract("memory", async () => memoryStorage());

storageContract("filesystem", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-storage-"));
  folders.push(folder);
  return filesystemStorage({ path: join(folder, "repository") });
});
