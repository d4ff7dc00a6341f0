import { once } from "node:events";
import { access, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterEach, describe, expect, test } from "vitest";
import {
  ask,
  availableMajors,
  startCluster,
  type TestCluster,
} from "../../../test/support/postgres.ts";
import { serverAccount } from "../src/files/account.ts";
import { Server } from "../src/server/server.ts";

const open: TestCluster[] = [];

afterEach(async () => {
  for (const cluster of open.splice(0)) await cluster.stop();
});

async function started(options: Parameters<typeof startCluster>[0]): Promise<TestCluster> {
  const cluster = await startCluster(options);
  open.push(cluster);
  return cluster;
}

describe.each(await availableMajors())("a server of version %i", (major) => {
  test("starts, answers and stops, and its socket's folder goes with it", async () => {
    const cluster = await started({ major });
    const [row] = await cluster.query<{ version: string }>(
      "select current_setting('server_version') as version",
    );
    expect(Number.parseInt(row?.version ?? "", 10)).toBe(major);
    const { socketDirectory } = cluster.server;
    expect((await stat(socketDirectory)).mode & 0o777).toBe(0o700);
    await cluster.server.stop();
    await expect(access(socketDirectory)).rejects.toThrow("ENOENT");
    expect(await readdir(cluster.dataDirectory)).not.toContain("postmaster.pid");
  });

  test("never runs as root", async () => {
    const cluster = await started({ major });
    const { uid } = await stat(join(cluster.dataDirectory, "postmaster.pid"));
    expect(uid).toBe((await serverAccount()).uid);
    expect(uid).not.toBe(0);
  });

  test("ends, and leaves no folder, when the process that started it is killed by kill -9", async () => {
    const cluster = await started({ major });
    await cluster.server.stop();
    const { pid, socketDirectory, owner } = await startedElsewhere(cluster);
    const { promise: gone, resolve } = Promise.withResolvers<void>();
    const watching = setInterval(() => {
      const alive = isAlive(pid);
      void access(socketDirectory).then(
        () => {},
        () => !alive && resolve(),
      );
    }, 50);
    owner.kill("SIGKILL");
    await gone;
    clearInterval(watching);
  });

  test("that cannot start says why in its own words", async () => {
    const { programs, account, dataDirectory, server } = await started({ major });
    await server.stop();
    const failing = await Server.start({
      programs,
      account,
      dataDirectory,
      settings: { max_connections: "0" },
    });
    await expect(failing.accepting("postgres")).rejects.toMatchObject({
      code: "SERVER_ENDED",
      message: expect.stringContaining(
        '0 is outside the valid range for parameter "max_connections"',
      ),
    });
    await failing.stop();
    await expect(access(failing.socketDirectory)).rejects.toThrow("ENOENT");
  });

  test("starts again after it was ended at once", async () => {
    const cluster = await started({ major });
    await cluster.server.stop("immediate");
    await cluster.restart();
    expect(await ask(cluster.server, "select 1 as one", "app")).toEqual([{ one: 1 }]);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Starts the cluster from another process of ours, which then waits to be killed. */
async function startedElsewhere({ programs, account, dataDirectory }: TestCluster) {
  const init = { programs, account, dataDirectory };
  const module = fileURLToPath(new URL("../src/server/server.ts", import.meta.url));
  const script = `
    import { Server } from ${JSON.stringify(module)};
    const server = await Server.start(${JSON.stringify(init)});
    await server.accepting("postgres");
    console.log(JSON.stringify({ pid: server.pid, socketDirectory: server.socketDirectory }));
    setInterval(() => {}, 1000);
  `;
  const owner = execa(process.execPath, ["--input-type=module", "-e", script], {
    reject: false,
    buffer: false,
  });
  const [said] = (await once(createInterface({ input: owner.stdout }), "line")) as [string];
  return { owner, ...(JSON.parse(said) as { pid: number; socketDirectory: string }) };
}

test("a server whose database postgres lets nobody in, or was dropped, is asked in template1", async () => {
  const cluster = await started({});
  const { programs, account, dataDirectory } = cluster;
  await cluster.query("alter database postgres allow_connections false");
  await cluster.server.stop();
  for (const then of ["drop database postgres", "select"]) {
    const server = await Server.start({ programs, account, dataDirectory });
    try {
      await server.accepting("postgres");
      expect(server.database).toBe("template1");
      expect(await server.knows("postgres")).toBe(true);
      expect(await server.knows("nobody")).toBe(false);
      await ask(server, then, "template1");
    } finally {
      await server.stop();
    }
  }
});
