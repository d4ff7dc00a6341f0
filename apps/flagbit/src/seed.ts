import { insert, insertNumbered, type Random, type Session } from "@lifeboat/traffic";
import { addFlag } from "./add-flag.ts";
import { hardCases } from "./hard-cases.ts";

const FLAGS = 60;

/** A FlagBit with two organisations, three projects and `rows` entries in the audit log. */
export async function seed(session: Session, random: Random, rows: number): Promise<void> {
  const projects: string[] = [];
  for (const name of ["Acme", "Globex"]) {
    const orgId = await insertNumbered(session, "organisations", { name });
    projects.push(await addProject(session, random, orgId, `${name} shop`));
    if (name === "Acme") projects.push(await addProject(session, random, orgId, "Acme app"));
  }
  for (let flag = 0; flag < FLAGS; flag++) {
    const id = await addFlag(session, random, random.pick(projects), `flag-${flag}`);
    await addEvaluations(session, random, id);
  }
  for (let row = 0; row < rows; row++) await addAuditEntry(session, random, row);
  await hardCases(session);
}

async function addProject(
  session: Session,
  random: Random,
  orgId: number,
  name: string,
): Promise<string> {
  const id = ulid(random);
  await insert(session, "projects", { id, org_id: orgId, name });
  for (const key of ["production", "staging"]) {
    await insert(session, "environments", {
      project_id: id,
      key,
      sdkKeyHash: random.bytes(32),
      default: key === "production" ? 1 : 0,
    });
  }
  await insert(session, "segments", { project_id: id, key: "segment-1" });
  return id;
}

async function addEvaluations(session: Session, random: Random, flagId: number): Promise<void> {
  for (let day = 1; day <= 14; day++) {
    await insert(session, "evaluations_daily", {
      flag_id: flagId,
      day: `2026-11-${String(day).padStart(2, "0")}`,
      variant: random.pick(["on", "off", "control"]),
      count: random.below(100_000),
    });
  }
}

async function addAuditEntry(session: Session, random: Random, row: number): Promise<void> {
  await insert(session, "audit_log", {
    actor: random.chance(0.8) ? BigInt(random.below(50) + 1) : "scheduler",
    action: random.pick(["toggle", "rollOut", "archive"]),
    before: JSON.stringify({ enabled: false, note: random.prose(60) }),
    after: JSON.stringify({ enabled: true, note: random.prose(60) }),
    at: Date.UTC(2026, 5, 1) + row * 60_000,
  });
}

/** 26 characters of Crockford's alphabet, as ULIDs are written. */
function ulid(random: Random): string {
  const alphabet = [..."0123456789ABCDEFGHJKMNPQRSTVWXYZ"];
  return Array.from({ length: 26 }, () => random.pick(alphabet)).join("");
}
