import {
  insertNumbered,
  number,
  type Random,
  replace,
  runTraffic,
  type Session,
  someKey,
  someNumber,
} from "@lifeboat/traffic";
import { addFlag } from "./add-flag.ts";

/** What one act did, for the audit log. */
interface Change {
  readonly before: unknown;
  readonly after: unknown;
}

const NOTHING: Change = { before: null, after: null };

/** What FlagBit does all day, and how often: mostly it counts evaluations. */
const ACTS = [
  [60, countEvaluations],
  [15, toggle],
  [8, rollOut],
  [5, createFlag],
  [4, saveSegment],
  [4, reorderRules],
  [2, archive],
  [2, deleteFlag],
] as const;

await runTraffic(async (session, random) => () => {
  const act = random.weighted(ACTS);
  return session.transaction(async () => {
    const { before, after } = await act(session, random);
    return insertNumbered(session, "audit_log", {
      // A bigint, since the untyped column would keep a JavaScript number as a real.
      actor: random.chance(0.8) ? BigInt(random.below(50) + 1) : "scheduler",
      action: act.name,
      before: JSON.stringify(before),
      after: JSON.stringify(after),
      at: Date.now(),
    });
  });
});

async function countEvaluations(session: Session, random: Random): Promise<Change> {
  const count = random.below(900) + 1;
  await session.run(
    `INSERT INTO evaluations_daily (flag_id, day, variant, count) VALUES (?, ?, ?, ?)
     ON CONFLICT (flag_id, day, variant)
     DO UPDATE SET count = evaluations_daily.count + excluded.count`,
    await someNumber(session, random, "flags"),
    new Date().toISOString().slice(0, 10),
    random.pick(["on", "off", "control"]),
    count,
  );
  return { before: null, after: { count } };
}

async function toggle(session: Session, random: Random): Promise<Change> {
  const state = await someState(session, random);
  if (state === null) return NOTHING;
  const enabled = random.below(2);
  await session.run(
    "UPDATE flag_states SET enabled = ?, default_value = ? WHERE flag_id = ? AND environment_id = ?",
    enabled,
    random.pick(["true", "false", '{"colour": "blue"}', "42", '"on"']),
    ...state,
  );
  return { before: null, after: { flag: state[0], enabled } };
}

async function rollOut(session: Session, random: Random): Promise<Change> {
  const state = await someState(session, random);
  if (state === null) return NOTHING;
  const percent = random.below(10_001) / 100;
  await session.run(
    "UPDATE flag_states SET rollout_pct = ? WHERE flag_id = ? AND environment_id = ?",
    percent,
    ...state,
  );
  return { before: null, after: { flag: state[0], percent } };
}

async function createFlag(session: Session, random: Random): Promise<Change> {
  const projectId = await someKey(session, random, "projects");
  const key = `${random.prose(8).replaceAll(" ", "-")}-${Date.now()}-${random.below(1_000_000)}`;
  await addFlag(session, random, projectId, key);
  return { before: null, after: { key } };
}

/** Saved as a whole: the segment gets a new number, and rules that named the old one lose it. */
async function saveSegment(session: Session, random: Random): Promise<Change> {
  const key = `segment-${random.below(12)}`;
  await replace(session, "segments", ["project_id", "key"], {
    project_id: await someKey(session, random, "projects"),
    key,
    rules: JSON.stringify([{ attribute: "country", in: ["DE", "FR"] }]),
  });
  return { before: null, after: { key } };
}

async function reorderRules(session: Session, random: Random): Promise<Change> {
  const state = await someState(session, random);
  if (state === null) return NOTHING;
  await session.run(
    `UPDATE rules SET "order" = 1 + (SELECT count(*) FROM rules AS other
       WHERE other.flag_id = rules.flag_id AND other.environment_id = rules.environment_id)
       - "order" WHERE flag_id = ? AND environment_id = ?`,
    ...state,
  );
  return { before: null, after: { reversed: state[0] } };
}

async function archive(session: Session, random: Random): Promise<Change> {
  const id = await someNumber(session, random, "flags");
  await session.run("UPDATE flags SET archived = ? WHERE id = ?", 1, id);
  return { before: { archived: false }, after: { archived: true } };
}

/** Takes its states, rules and counts with it, by the foreign keys. */
async function deleteFlag(session: Session, random: Random): Promise<Change> {
  if ((await number(session, "SELECT count(*) FROM flags")) < 40) return NOTHING;
  const id = await someNumber(session, random, "flags");
  await session.run("DELETE FROM flags WHERE id = ?", id);
  return { before: { flag: id }, after: null };
}

/** A flag in one of its environments. */
async function someState(session: Session, random: Random): Promise<[number, number] | null> {
  const flagId = await someNumber(session, random, "flags");
  const states = await session.all(
    "SELECT environment_id FROM flag_states WHERE flag_id = ? ORDER BY environment_id",
    flagId,
  );
  return states.length === 0 ? null : [flagId, Number(random.pick(states).environment_id)];
}
