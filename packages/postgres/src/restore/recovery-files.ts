import { join } from "node:path";
import { isSystemError, type RecoveryPlan } from "@lifeboat/core";
import type { Account } from "../files/account.ts";
import { writeDurably } from "../files/durable.ts";
import { settingsIn } from "../files/effective-settings.ts";
import { readSmallFile } from "../files/small-file.ts";
import { recoverySettings, withRecovery } from "./recovery-configuration.ts";

/** Writes into a copy that, and how, it recovers when it is started. */
export async function configureRecovery(
  directory: string,
  plan: RecoveryPlan,
  recovery: { timeline: number; fetchCommand: readonly string[] },
  owned: { account: Account; mode: number },
): Promise<void> {
  const path = join(directory, "postgresql.auto.conf");
  const before = await readSmallFile(path).catch((cause: unknown) => {
    if (isSystemError(cause, "ENOENT")) return "";
    throw cause;
  });
  const settings = recoverySettings(plan, recovery);
  const text = withRecovery(String(before), settings, await settingsIn(directory));
  // restore_command can hold what others need not know: paths, and whatever the command line says.
  await writeDurably(path, text, { ...owned, mode: 0o600 });
  await writeDurably(join(directory, "recovery.signal"), "", owned);
}
