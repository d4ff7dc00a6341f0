import { insert, insertNumbered, type Random, type Session } from "@lifeboat/traffic";

/** Adds a flag as FlagBit does: with its state and its rules in every environment of the project. */
export async function addFlag(
  session: Session,
  random: Random,
  projectId: string,
  key: string,
): Promise<number> {
  const flagId = await insertNumbered(session, "flags", {
    project_id: projectId,
    key,
    type: random.pick(["boolean", "string", "number", "json"]),
    description: random.pick([null, "", random.prose(40)]),
    archived: 0,
    created_at: new Date().toISOString(),
  });
  const environments = await session.all(
    "SELECT id FROM environments WHERE project_id = ? ORDER BY id",
    projectId,
  );
  const segments = await session.all("SELECT id FROM segments WHERE project_id = ?", projectId);
  for (const { id } of environments) {
    const segmentId = random.pick([null, ...segments.map((segment) => Number(segment.id))]);
    await addState(session, random, { flagId, environmentId: Number(id), segmentId });
  }
  return flagId;
}

async function addState(
  session: Session,
  random: Random,
  ids: {
    readonly flagId: number;
    readonly environmentId: number;
    readonly segmentId: number | null;
  },
): Promise<void> {
  const rules = random.below(3);
  // Before the state they belong to: the foreign key is checked at the commit.
  for (let order = 1; order <= rules; order++) {
    await insert(session, "rules", {
      flag_id: ids.flagId,
      environment_id: ids.environmentId,
      order,
      clauses: JSON.stringify([{ attribute: "plan", op: "in", values: ["pro", "team"] }]),
      segment_id: ids.segmentId,
    });
  }
  await insert(session, "flag_states", {
    flag_id: ids.flagId,
    environment_id: ids.environmentId,
    enabled: random.below(2),
    rollout_pct: random.pick([100, 0, 12.5, 33.33]),
    default_value: random.pick([null, "true", '{"colour": "red"}', "7"]),
  });
}
