import { randomUUID } from "node:crypto";
import {
  type Finding,
  LifeboatError,
  markFindings,
  type Repository,
  type Storage,
} from "@lifeboat/core";
import type { Session } from "../session.ts";
import { duration, size } from "../show/units.ts";

/** Above this, instants of repository and database can no longer be compared without care. */
const CLOCK_TOLERANCE_MS = 5000;

/** Whether the repository can be reached and written, has room, and agrees with us on the time. */
export async function examineRepository(session: Session): Promise<Finding[]> {
  const storage = await session.storage();
  let repository: Repository;
  try {
    repository = await session.openRepository("read");
  } catch (thrown) {
    return [notOpened(thrown, session.program)];
  }
  return [
    ...markFindings(repository),
    ...(await examineWriting(storage, repository.app)),
    ...(await examineSpace(storage, repository)),
  ];
}

function notOpened(thrown: unknown, program: string): Finding {
  if (!(thrown instanceof LifeboatError)) throw thrown;
  if (thrown.code !== "REPOSITORY_MISSING") return findingOf(thrown);
  return {
    id: "repository-missing",
    severity: "info",
    summary: thrown.message,
    remedy: `the first backup makes it: ${program} backup`,
  };
}

async function examineWriting(storage: Storage, app: string): Promise<Finding[]> {
  // Among the locks, where no reader takes it for data.
  const probe = `${app}/locks/doctor/${randomUUID()}.json`;
  try {
    await storage.create(probe, Buffer.from("{}\n"));
    const stored = await storage.stat(probe);
    const difference = stored ? Math.abs(stored.storedAt.getTime() - Date.now()) : 0;
    return difference > CLOCK_TOLERANCE_MS ? [clockDiffers(storage, difference)] : [];
  } catch (thrown) {
    if (!(thrown instanceof LifeboatError)) throw thrown;
    return [findingOf(thrown)];
  } finally {
    await storage.remove(probe);
  }
}

async function examineSpace(storage: Storage, repository: Repository): Promise<Finding[]> {
  const free = await storage.freeBytes();
  const needed = await newestBytes(repository);
  if (free === null || free > needed * 2) return [];
  return [
    {
      id: "repository-space",
      severity: free > needed ? "warning" : "error",
      summary: `${storage.description} has ${size(free)} left; the newest backup took ${size(needed)}`,
      remedy: "make room, or move the repository to a larger place",
    },
  ];
}

async function newestBytes(repository: Repository): Promise<number> {
  let sum = 0;
  for (const folder of await repository.folders()) {
    const { manifests } = await repository.backups(folder);
    sum += manifests.at(-1)?.storedBytes ?? 0;
  }
  return sum;
}

function clockDiffers(storage: Storage, milliseconds: number): Finding {
  return {
    id: "repository-clock",
    severity: "warning",
    summary: `the clocks of ${storage.description} and of this machine differ by ${duration(milliseconds / 1000)}`,
    remedy: "let both follow NTP; instants in list come from the database's clock",
  };
}

function findingOf({ code, message, remedy }: LifeboatError): Finding {
  const id = code.toLowerCase().replaceAll("_", "-");
  return { id, severity: "error", summary: message, remedy };
}
