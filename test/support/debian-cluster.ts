import { randomBytes } from "node:crypto";
import { access, constants, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { execa } from "execa";

/** A cluster as Debian and Ubuntu make them: its settings lie in `/etc/postgresql`. */
export interface DebianCluster {
  readonly url: string;
  readonly dataDirectory: string;
  readonly settingsDirectory: string;
  /** Stops it and removes all of it. May be called twice. */
  drop(): Promise<void>;
}

/** Whether a cluster can be made by Debian's tools: they are here, and we are root. */
export async function hasDebianTools(): Promise<boolean> {
  const tools = await access("/usr/bin/pg_createcluster", constants.X_OK).then(
    () => true,
    () => false,
  );
  return tools && process.getuid?.() === 0;
}

/**
 * Makes and starts one with `pg_createcluster`. Whoever reaches its socket is let in.
 * @param settings files for its `conf.d`, by name
 */
export async function startDebianCluster(
  major: number,
  settings: Readonly<Record<string, string>>,
): Promise<DebianCluster> {
  const name = `lifeboat${randomBytes(4).toString("hex")}`;
  const port = String(await freePort());
  const settingsDirectory = `/etc/postgresql/${major}/${name}`;
  const drop = async () => {
    // An earlier call has dropped it already.
    await execa("pg_dropcluster", ["--stop", String(major), name], { reject: false });
    // It leaves conf.d behind.
    await rm(settingsDirectory, { recursive: true, force: true });
  };
  await execa("pg_createcluster", ["--port", port, String(major), name, "--", "--no-sync"]);
  try {
    for (const [file, text] of Object.entries(settings))
      await writeFile(`${settingsDirectory}/conf.d/${file}`, text);
    const rules = `${settingsDirectory}/pg_hba.conf`;
    await writeFile(rules, `local all,replication all trust\n${await readFile(rules, "utf8")}`);
    await execa("pg_ctlcluster", [String(major), name, "start"]);
  } catch (cause) {
    await drop();
    throw cause;
  }
  return {
    url: `postgres://postgres@/postgres?host=/var/run/postgresql&port=${port}`,
    dataDirectory: `/var/lib/postgresql/${major}/${name}`,
    settingsDirectory,
    drop,
  };
}

async function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const probe = createServer().listen(0, "127.0.0.1", () => {
    const address = probe.address();
    probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
  });
  return promise;
}
