import { number, openSqlite, type Session } from "@lifeboat/traffic";
import type { Product } from "./product.ts";
import type { RestoreReport } from "./report.ts";

/**
 * Holds a restored copy against the live database and against what the product was told: the copy
 * must be one state that the database really had, no commit of it missing, none of it altered.
 * @returns how many ledger rows were compared, and how many commits had been acknowledged by then
 * @throws Error saying what differs
 */
export async function compareCopy(
  product: Product,
  restored: RestoreReport,
): Promise<{ rows: number; acknowledged: number }> {
  const copy = openSqlite(restored.path);
  try {
    await isSound(product, copy);
    const last = await number(copy, `SELECT max(id) FROM ${product.ledger}`);
    const rows = await sameLedger(product, copy, last);
    return { rows, acknowledged: holdsAcknowledged(product, restored, last) };
  } finally {
    await copy.close();
  }
}

async function isSound(product: Product, copy: Session): Promise<void> {
  const findings = await copy.all("SELECT integrity_check AS finding FROM pragma_integrity_check");
  if (findings.length !== 1 || findings[0]?.finding !== "ok")
    throw differs(product, `integrity_check says ${findings[0]?.finding}`);
  for (const { name, sql } of product.checks) {
    if (typeof sql === "string" && (await number(copy, sql)) !== 1)
      throw differs(product, `it is not true that ${name}`);
  }
}

/** Both directions: a row too few, one too many and one that was altered all show. */
async function sameLedger(product: Product, copy: Session, last: number): Promise<number> {
  await copy.run("ATTACH ? AS live", product.path);
  const ledger = `SELECT * FROM live.${product.ledger} WHERE id <= ?`;
  const own = `SELECT * FROM main.${product.ledger}`;
  const lacking = await number(copy, `SELECT count(*) FROM (${ledger} EXCEPT ${own})`, last);
  const added = await number(copy, `SELECT count(*) FROM (${own} EXCEPT ${ledger})`, last);
  if (lacking + added > 0) throw differs(product, `${lacking} rows are missing, ${added} are new`);
  return number(copy, `SELECT count(*) FROM main.${product.ledger}`);
}

function holdsAcknowledged(product: Product, restored: RestoreReport, last: number): number {
  const instant = restored.recoveredTo;
  if (instant === null) throw differs(product, "it does not say up to when it goes");
  const before = (product.traffic?.ledger ?? []).filter(({ at }) => at < instant);
  const lost = before.filter(({ seq }) => seq > last);
  if (lost.length > 0) throw differs(product, `${lost.length} acknowledged commits are lost`);
  return before.length;
}

function differs(product: Product, how: string): Error {
  return new Error(`the restored copy of ${product.name} is not what it was: ${how}`);
}
