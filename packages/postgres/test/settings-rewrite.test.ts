import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ownedFolder } from "../../../test/support/postgres.ts";
import type { SettingsDetail } from "../src/details.ts";
import { serverAccount } from "../src/files/account.ts";
import { restoreFindings } from "../src/restore/findings.ts";
import { SettingsLayout } from "../src/restore/settings-layout.ts";
import { rewriteSettings } from "../src/restore/settings-rewrite.ts";

const HOME = "/etc/postgresql/15/main";

function stored(...paths: string[]): SettingsDetail[] {
  const kinds: Record<string, SettingsDetail["setting"]> = {
    [`${HOME}/postgresql.conf`]: "config_file",
    [`${HOME}/pg_hba.conf`]: "hba_file",
    [`${HOME}/pg_ident.conf`]: "ident_file",
  };
  return paths.map((path, i) => ({
    setting: kinds[path] ?? "include",
    path,
    object: `settings/${i}.zst`,
  }));
}

const files = stored(
  `${HOME}/postgresql.conf`,
  `${HOME}/pg_hba.conf`,
  `${HOME}/conf.d/one.conf`,
  "/srv/shared/common.conf",
  `${HOME}/global/pg_control`,
);
const dataDirectory = "/var/lib/postgresql/15/main";
const layout = new SettingsLayout({ settings: files, dataDirectory }, ["base", "global"]);

async function rewritten(text: string, kind: "settings" | "authentication" = "settings") {
  const from = kind === "settings" ? `${HOME}/postgresql.conf` : `${HOME}/pg_hba.conf`;
  const to = kind === "settings" ? "postgresql.conf" : "pg_hba.conf";
  return rewriteSettings({ text, from, to, dataDirectory: "/copy", layout, kind });
}

describe("where settings files go in a copy", () => {
  test("the main ones where the server looks, includes as they lay beside them", () => {
    expect(Object.fromEntries(layout.files)).toEqual({
      [`${HOME}/postgresql.conf`]: "postgresql.conf",
      [`${HOME}/pg_hba.conf`]: "pg_hba.conf",
      [`${HOME}/conf.d/one.conf`]: "conf.d/one.conf",
      "/srv/shared/common.conf": "included/common.conf",
      // A hostile manifest must not lay a file over the cluster's own.
      [`${HOME}/global/pg_control`]: "included-2/pg_control",
    });
  });

  test("folders keep apart, so that one that is included whole takes in no file of another", () => {
    const settings = stored("/a/x.conf", "/b/x.conf", "/a/y.conf");
    // From an earlier restore.
    const taken = ["base", "included"];
    const apart = new SettingsLayout({ settings, dataDirectory: null }, taken);
    expect([...apart.files.values()]).toEqual([
      "included-2/x.conf",
      "included-3/x.conf",
      "included-2/y.conf",
    ]);
    expect(apart.find("/b")).toBe("included-3");
  });
});

describe("a settings file on its way into a copy", () => {
  test("that names nothing of the original stays as it is", async () => {
    const text =
      "# Häuptling\r\nport = 5433\r\n\r\nssl = on\ninclude_dir 'conf.d'\nlog_directory = 'log'\n";
    expect(await rewritten(text)).toEqual({ text, changes: [] });
  });

  test.each([
    ["data_directory = '/var/lib/postgresql/15/main'"],
    ["hba_file = '/etc/postgresql/15/main/pg_hba.conf'"],
    ["ident_file = '/etc/postgresql/15/main/pg_ident.conf'"],
    ["external_pid_file = '/var/run/postgresql/15-main.pid'"],
    ["log_directory = '/nowhere/log'"],
    ["stats_temp_directory = '/nowhere/stats'"],
    ["ssl_ca_file = '/nowhere/ca.pem'"],
    ["include '/nowhere/else.conf'"],
    ["include_if_exists = '../missing.conf'"],
  ])("%s is taken out, with the reason", async (line) => {
    const { text, changes } = await rewritten(`${line}\nport = 1`);
    expect(text).toMatch(/^#.* {2}# lifeboat restore: .+\nport = 1$/);
    expect(text.startsWith(`#${line}`)).toBe(true);
    expect(changes).toHaveLength(1);
  });

  test.each([
    ["include '/srv/shared/common.conf'", "include = 'included/common.conf'"],
    [`include_dir = '${HOME}/conf.d'`, "include_dir = 'conf.d'"],
    [`include = '${dataDirectory}/own.conf'`, "include = 'own.conf'"],
    [`hba_file = '${dataDirectory}/rules'`, "hba_file = '/copy/rules'"],
    ["unix_socket_directories = '/nowhere'", "unix_socket_directories = '/tmp'"],
    ["unix_socket_directories = '/nowhere, /tmp'", "unix_socket_directories = '/tmp'"],
  ])("%s becomes %s", async (line, instead) => {
    const { text } = await rewritten(line);
    expect(text.split("\n")[1]).toBe(instead);
  });

  test("without its certificate does not ask for one", async () => {
    const { text } = await rewritten("ssl = on\nssl_cert_file = '/nowhere/x.pem'\n");
    expect(text).toMatch(/^ssl = 'off'/m);
  });

  test("of access rules has only its includes turned, in its own way of quoting", async () => {
    const rules = `local all all peer\nhost all all 0.0.0.0/0 reject\ninclude ${HOME}/conf.d/one.conf\n`;
    const { text } = await rewritten(rules, "authentication");
    expect(text.split("\n").slice(2, 4)).toEqual([
      `#include ${HOME}/conf.d/one.conf  # lifeboat restore: it lies in the copy`,
      'include "conf.d/one.conf"',
    ]);
    expect(text.startsWith("local all all peer\nhost all all 0.0.0.0/0 reject\n")).toBe(true);
  });
});

describe("what is said of a copy's settings", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await ownedFolder(await serverAccount());
  });

  afterEach(() => rm(folder, { recursive: true }));

  async function findingsOf(files: Record<string, string>): Promise<string[]> {
    await mkdir(join(folder, "conf.d"));
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    return (await restoreFindings(folder, "/copy")).map(({ id }) => id);
  }

  test("archiving that goes on, wherever it is turned on", async () => {
    const ids = await findingsOf({
      "postgresql.conf": "include_dir 'conf.d'\n",
      "conf.d/archive.conf": "archive_mode = on\n",
      "postgresql.auto.conf": "archive_command = 'lifeboat wal push %p'\n",
    });
    expect(ids).toEqual(["copy-archives"]);
  });

  test("archiving by a library", async () => {
    const text = "archive_mode = always\narchive_library = 'basic_archive'\n";
    expect(await findingsOf({ "postgresql.conf": text })).toEqual(["copy-archives"]);
  });

  test.each(["off", "of", "NO", "n", "false", "f", "0"])(
    "nothing of archiving that a later file turned %s",
    async (off) => {
      const ids = await findingsOf({
        "postgresql.conf": "archive_mode = on\narchive_command = 'x'\n",
        "postgresql.auto.conf": `archive_mode = '${off}'\n`,
      });
      expect(ids).toEqual([]);
    },
  );

  test("standbys that commits will wait for", async () => {
    const ids = await findingsOf({ "postgresql.conf": "synchronous_standby_names = '*'\n" });
    expect(ids).toEqual(["copy-waits-for-standbys"]);
  });
});
