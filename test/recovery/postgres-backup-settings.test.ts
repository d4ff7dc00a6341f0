import { mkdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { postgresDetails, postgresEngine } from "@lifeboat/postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { type ClusterRepository, repositoryBeside } from "../support/postgres-repository.ts";

describe("a backup of a cluster whose settings lie elsewhere", () => {
  let cluster: TestCluster;
  let kept: ClusterRepository;

  beforeAll(async () => {
    cluster = await startCluster();
    const etc = join(cluster.directory, "etc");
    await mkdir(join(etc, "conf.d"), { recursive: true });
    await writeFile(join(etc, "conf.d", "10 work.conf"), "work_mem = '9MB'\n");
    await writeFile(
      join(etc, "extra.conf"),
      "# a comment of mine\nmaintenance_work_mem = '33MB'\n",
    );
    for (const name of ["pg_hba.conf", "pg_ident.conf"])
      await rename(join(cluster.dataDirectory, name), join(etc, name));
    const own = await readFile(join(cluster.dataDirectory, "postgresql.conf"), "utf8");
    await writeFile(
      join(cluster.dataDirectory, "postgresql.conf"),
      `${own}\nhba_file = '${etc}/pg_hba.conf'\nident_file = '${etc}/pg_ident.conf'\ninclude '${etc}/extra.conf'\ninclude_dir '${etc}/conf.d'\n`,
    );
    await cluster.restart();
    kept = await repositoryBeside(cluster);
  });
  afterAll(() => cluster?.stop());

  test("holds each of them verbatim, with the place it lay at", async () => {
    const report = await kept.take();
    const [manifest] = (await kept.repository.backups(kept.folder)).manifests;
    const { settings } = postgresDetails(manifest as NonNullable<typeof manifest>);
    const etc = join(cluster.directory, "etc");
    expect(
      settings.map(({ setting, path }) => `${setting} ${path.slice(etc.length + 1)}`).sort(),
    ).toEqual([
      "hba_file pg_hba.conf",
      "ident_file pg_ident.conf",
      "include conf.d/10 work.conf",
      "include extra.conf",
    ]);
    for (const { path, object } of settings) {
      const stored = manifest?.objects.find((each) => each.object === object);
      const back = kept.folder.readObject(
        manifest as NonNullable<typeof manifest>,
        stored as NonNullable<typeof stored>,
      );
      const text = Buffer.concat(await Array.fromAsync(back)).toString();
      expect(text).toBe(await readFile(path, "utf8"));
    }
    expect(report.findings.map(({ id }) => id)).not.toContain("settings-unread");
  });

  test.runIf(process.getuid?.() === 0)(
    "taken by root holds nothing that a link of the server's account leads to and that account may not read",
    async () => {
      const hba = join(cluster.directory, "etc", "pg_hba.conf");
      const secret = join(cluster.directory, "secret");
      await writeFile(secret, "secret", { mode: 0o600 });
      await rename(hba, `${hba}.aside`);
      await symlink(secret, hba);
      const { findings } = await kept.take();
      await rename(`${hba}.aside`, hba);
      const manifest = (await kept.repository.backups(kept.folder)).manifests.at(-1);
      const { settings } = postgresDetails(manifest as NonNullable<typeof manifest>);
      expect(settings.map(({ setting }) => setting)).not.toContain("hba_file");
      expect(findings.find(({ id }) => id === "settings-unread")?.summary).toContain(
        `${secret} cannot be read: it belongs to another account`,
      );
    },
  );

  test("taken by a role that may not read them says so and is a backup all the same", async () => {
    await cluster.query("create role modest login replication password 'modest'");
    await writeFile(
      join(cluster.directory, "etc", "pg_hba.conf"),
      "local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n",
    );
    await cluster.query("select pg_reload_conf()");
    const url = `postgres://modest@127.0.0.1:${cluster.port}/app`;
    const findings = await postgresEngine({ connection: { url } }).inspect();
    expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
    const ids: string[] = [];
    const snapshot = await postgresEngine({ connection: { url } }).snapshot({
      folder: kept.folder,
      id: "20260101T000000.000Z-full",
      type: "full",
      parents: [],
      leftovers: [],
      options: {},
      store: (name, role, content) => {
        ids.push(name);
        return kept.folder.storeObject("20260101T000000.000Z-full", name, role, content);
      },
      report: () => {},
      signal: new AbortController().signal,
    });
    expect(ids).toContain("base.tar");
    expect(snapshot.findings.map(({ id }) => id)).toContain("settings-unseen");
  });
});
