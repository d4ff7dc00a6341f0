import { rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type RecoveryTarget,
  type RestoreOrder,
  type RestoreReport,
  restore,
} from "@lifeboat/core";
import { programPath, runAs, Server } from "@lifeboat/postgres";
import { execa } from "execa";
import type { TestCluster } from "./postgres.ts";
import type { ClusterRepository } from "./postgres-repository.ts";

/** Restores from a cluster's repository, beside the cluster. */
export function restoreBeside(
  cluster: TestCluster,
  { repository, offline }: ClusterRepository,
  order: Partial<RestoreOrder> & { target?: RecoveryTarget } = {},
): Promise<RestoreReport> {
  return restore({
    repository,
    engines: [offline],
    target: { kind: "latest" },
    to: join(cluster.directory, "copy"),
    tablespaceMapping: new Map(),
    force: false,
    replay: false,
    fetchCommand: [],
    signal: new AbortController().signal,
    ...order,
  });
}

/** Starts a restored directory as it is, as an engineer would: nothing set but the socket. */
export async function startAsItIs(
  { programs, account }: TestCluster,
  dataDirectory: string,
): Promise<Server> {
  return Server.start({ programs, account, dataDirectory });
}

/** Runs a program of the cluster's installation as the server's account. */
export function runProgram(
  { programs, account }: TestCluster,
  name: Parameters<typeof programPath>[1],
  args: readonly string[],
) {
  return execa(programPath(programs, name), [...args], {
    ...runAs(account),
    reject: false,
    all: true,
  });
}

/** What a copy that recovered to the end of the archive holds of table `ledger`. */
export interface Counted {
  readonly count: number;
  readonly numbers: ReadonlySet<number>;
  /** The one that it recovered along. */
  readonly timeline: number | null;
}

/** Recovers the newest state in private, counts, and removes it. */
export async function countAfter(
  cluster: TestCluster,
  { repository, folder, offline }: ClusterRepository,
): Promise<Counted> {
  const { manifests } = await repository.backups(folder);
  const plan = await offline.plan(folder, manifests, { kind: "latest" }, {});
  const to = join(cluster.directory, "counted");
  const never = { report: () => {}, signal: new AbortController().signal };
  const restored = await offline.restore({
    ...{ folder, plan, to, ...never },
    tablespaceMapping: new Map(),
    tablespaceRoot: null,
    force: false,
    fetchCommand: [],
  });
  try {
    const revived = await offline.revive({ folder, plan, restored, ...never });
    const rows = await revived.query("select n from ledger");
    await revived.close();
    const numbers = new Set(rows.map(([n]) => Number(n)));
    return { count: rows.length, numbers, timeline: plan.timeline };
  } finally {
    await rm(to, { recursive: true });
  }
}
