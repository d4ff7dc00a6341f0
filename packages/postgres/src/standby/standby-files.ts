import { rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isSystemError } from "@lifeboat/core";
import type { Account } from "../files/account.ts";
import { syncDirectories, writeDurably } from "../files/durable.ts";
import { settingsIn } from "../files/effective-settings.ts";
import type { Setting } from "../files/setting-line.ts";
import { readSmallFile } from "../files/small-file.ts";
import { standbyRestoreCommand, withRecovery } from "../restore/recovery-configuration.ts";

export interface StandbySettings {
  readonly conninfo: string;
  readonly slot: string | null;
  /** Where it is another than its other settings say; else null. */
  readonly port: number | null;
  /** The second source of WAL. */
  readonly fetchCommand: readonly string[];
}

const PORT_HEADING = `
# Written by lifeboat standby: the port of this copy alone.
`;

/** Where a standby's password lies: beside the data directory, in no base backup of it. */
export function passfileOf(dataDirectory: string): string {
  return join(dirname(dataDirectory), `.${basename(dataDirectory)}.lifeboat-pgpass`);
}

/** Makes a data directory one that starts as a standby. `standby.signal` comes first: it wins over `recovery.signal`. */
export async function configureStandby(
  directory: string,
  standby: StandbySettings,
  owned: { readonly account: Account; readonly mode: number },
): Promise<void> {
  await writeDurably(join(directory, "standby.signal"), "", owned);
  const path = join(directory, "postgresql.auto.conf");
  const before = await readSmallFile(path).catch((cause: unknown) => {
    if (isSystemError(cause, "ENOENT")) return "";
    throw cause;
  });
  const settings: Setting[] = [
    { name: "restore_command", value: standbyRestoreCommand(standby.fetchCommand) },
    { name: "recovery_target_timeline", value: "latest" },
    { name: "primary_conninfo", value: standby.conninfo },
    { name: "primary_slot_name", value: standby.slot ?? "" },
  ];
  const text = withRecovery(String(before), settings, await settingsIn(directory));
  const own = standby.port === null ? "" : `${PORT_HEADING}port = ${standby.port}\n`;
  await writeDurably(path, `${text}${own}`, { ...owned, mode: 0o600 });
  await rm(join(directory, "recovery.signal"), { force: true });
  await syncDirectories([directory]);
}
