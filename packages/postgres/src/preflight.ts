import { type Finding, LifeboatError } from "@lifeboat/core";
import type pg from "pg";
import { withBriefSender } from "./connection/brief-sender.ts";
import type { ServerConnection } from "./connection/connection.ts";
import type { ServerFacts } from "./facts/server-facts.ts";
import { activityFindings } from "./preflight/activity.ts";
import { configurationFindings } from "./preflight/configuration.ts";
import { hostFindings } from "./preflight/host.ts";
import { liveFindings } from "./preflight/live.ts";
import { outsideFindings } from "./preflight/outside.ts";
import { grantFindings } from "./rights/least-privilege.ts";

/**
 * Finds what stands in the way of a good backup before a byte of it moves: what is configured, who
 * holds what now, and whether a WAL sender is to be had.
 */
export async function preflight(
  connection: ServerConnection,
  client: pg.Client,
  server: ServerFacts,
): Promise<Finding[]> {
  const configured = configurationFindings(server);
  // Of a version that is not supported nothing further is known to be askable.
  if (configured.some(({ id }) => id === "version-unsupported")) return configured;
  const live = [
    ...(await liveFindings(client, server)),
    ...(await activityFindings(client, server)),
    ...(await grantFindings(connection, client, server)),
    ...(await outsideFindings(client, server)),
    ...(await hostFindings(connection, server)),
  ];
  // Where no sender can start at all, the trial would only say so again in other words.
  const trial = configured.some(({ id }) => id === "wal-level-minimal")
    ? []
    : await senderTrial(connection, client);
  return [...configured, ...trial, ...live];
}

/** Only a connection that is made proves the right, the pg_hba.conf line and the free sender. */
async function senderTrial(connection: ServerConnection, client: pg.Client): Promise<Finding[]> {
  try {
    await withBriefSender(connection, client, async () => {});
    return [];
  } catch (thrown) {
    return [findingOf(thrown)];
  }
}

/** A failure as a finding: same words. Anything but a LifeboatError is a defect and thrown on. */
export function findingOf(thrown: unknown): Finding {
  if (!(thrown instanceof LifeboatError)) throw thrown;
  const id = thrown.code.toLowerCase().replaceAll("_", "-");
  return { id, severity: "error", summary: thrown.message, remedy: thrown.remedy };
}

/**
 * The findings that make a backup impossible, as the error that refuses it. A broken archive and the lost slot of somebody's
 * standby are errors for the doctor, but no reason to go without a backup as well: that can stream its WAL.
 */
export function refusal(findings: readonly Finding[]): LifeboatError | undefined {
  const [first, ...more] = findings.filter(
    ({ id, severity }) => severity === "error" && !/^(archive|slot)-/.test(id),
  );
  if (!first) return undefined;
  return new LifeboatError({
    code: first.id.toUpperCase().replaceAll("-", "_"),
    message: [first, ...more].map(({ summary }) => summary).join("; "),
    remedy: first.remedy,
    details: { findings: [first, ...more] },
  });
}
