import {
  insert,
  insertNumbered,
  number,
  type Random,
  replace,
  runTraffic,
  type Session,
  someKey,
  someNumber,
} from "@lifeboat/traffic";
import { addVersion } from "./add-version.ts";

/** What DocuMint does all day, and how often: mostly it renders. */
const ACTS = [
  [30, queue],
  [30, startRendering],
  [28, finish],
  [3, publishVersion],
  [3, uploadAsset],
  [2, deleteAsset],
  [2, bill],
  [2, settle],
  [2, useKey],
  [2, saveWebhook],
  [1, cleanUp],
] as const;

await runTraffic(async (session, random) => () => {
  const act = random.weighted(ACTS);
  return session.transaction(async () => {
    await act(session, random);
    return insertNumbered(session, "activity", {
      action: act.name,
      at: new Date().toISOString(),
    });
  });
});

async function queue(session: Session, random: Random): Promise<void> {
  await insert(session, "documents", {
    template_version_id: await someNumber(session, random, "template_versions"),
    input: JSON.stringify({ customer: random.prose(20), total: random.below(100_000) / 100 }),
    created_at: new Date().toISOString(),
  });
}

async function startRendering(session: Session): Promise<void> {
  await session.run(
    `UPDATE documents SET status = 'rendering'
     WHERE id = (SELECT min(id) FROM documents WHERE status = 'queued')`,
  );
}

/** Small documents are kept in the row, large ones beside it; one in ten fails. */
async function finish(session: Session, random: Random): Promise<void> {
  const [next] = await session.all(
    "SELECT min(id) AS id FROM documents WHERE status = 'rendering'",
  );
  if (next?.id == null) return;
  const failed = random.chance(0.1);
  const output = failed || random.chance(0.2) ? null : random.bytes(random.below(8_000) + 1);
  const bytes = failed ? null : (output?.length ?? 3_000_000_000 + random.below(1_000));
  await session.run(
    "UPDATE documents SET status = ?, output = ?, output_path = ?, pages = ?, bytes = ?, finished_at = ? WHERE id = ?",
    failed ? "failed" : "done",
    output,
    failed || output !== null ? null : `s3://documents/${next.id}.pdf`,
    failed ? null : random.below(40) + 1,
    bytes,
    new Date().toISOString(),
    next.id,
  );
}

async function publishVersion(session: Session, random: Random): Promise<void> {
  await addVersion(session, random, await someKey(session, random, "templates"));
}

async function uploadAsset(session: Session, random: Random): Promise<void> {
  await insert(session, "assets", {
    user_id: await someNumber(session, random, "users"),
    filename: random.pick(["logo.png", "Üntérschrift.svg", "印鑑.png"]),
    mime: "image/png",
    data: random.bytes(random.below(20_000)),
  });
}

async function deleteAsset(session: Session, random: Random): Promise<void> {
  if ((await number(session, "SELECT count(*) FROM assets")) < 10) return;
  await session.run("DELETE FROM assets WHERE id = ?", await someNumber(session, random, "assets"));
}

async function bill(session: Session, random: Random): Promise<void> {
  await insert(session, "invoices", {
    user_id: await someNumber(session, random, "users"),
    amount: random.below(100_000) / 100,
    currency: random.pick(["EUR", "USD"]),
    period_start: `${new Date().toISOString().slice(0, 7)}-01`,
    paid: 0,
  });
}

async function settle(session: Session, random: Random): Promise<void> {
  const id = await someNumber(session, random, "invoices");
  await session.run("UPDATE invoices SET paid = ? WHERE id = ?", 1, id);
}

async function useKey(session: Session, random: Random): Promise<void> {
  const id = await someNumber(session, random, "api_keys");
  const now = Math.floor(Date.now() / 1_000);
  await session.run("UPDATE api_keys SET last_used_at = ? WHERE id = ?", now, id);
}

/** Saved as a whole, under the number it has. */
async function saveWebhook(session: Session, random: Random): Promise<void> {
  await replace(session, "webhooks", ["id"], {
    id: await someNumber(session, random, "webhooks"),
    user_id: await someNumber(session, random, "users"),
    url: `https://hooks.example.com/${random.below(1_000)}`,
    events: random.pick(["[]", '["document.done"]', '["document.done", "document.failed"]']),
  });
}

/** Failed documents are kept for a while only. */
async function cleanUp(session: Session): Promise<void> {
  const newest = await number(session, "SELECT coalesce(max(id), 0) FROM documents");
  await session.run("DELETE FROM documents WHERE status = 'failed' AND id < ?", newest - 200);
}
