import { insert, type Session } from "@lifeboat/traffic";

/** What years of real use leave in such a database, and what careless copies lose. */
export async function hardCases(session: Session): Promise<void> {
  await noLimit(session);
  await amounts(session);
  await oldTimes(session);
  await filenames(session);
  await largeTemplate(session);
  await lastInvoiceDeleted(session);
}

/** The largest number there is, and one more than a double can hold exactly. */
async function noLimit(session: Session): Promise<void> {
  await insert(session, "users", { email: "A@b.c", storage_limit: 9_223_372_036_854_775_807n });
  await insert(session, "users", {
    email: "d@e.f",
    storage_limit: 9_007_199_254_740_993n,
    name: "",
  });
}

/** DECIMAL(10, 2) is no more than a hint: doubles, whole numbers as integers, a third decimal. */
async function amounts(session: Session): Promise<void> {
  for (const amount of [1929.47, 100, 0.1 + 0.2, 0.005, -12.3, 99_999_999.99]) {
    await insert(session, "invoices", { user_id: 1, amount, period_start: "2024-02-29" });
  }
}

/** Until some release the renderer wrote seconds since 1970, later text: both lie in one column. */
async function oldTimes(session: Session): Promise<void> {
  for (const finishedAt of [
    1_704_164_645n,
    "2024-01-02 03:04:05",
    "2024-01-02T03:04:05.678+02:00",
  ]) {
    await insert(session, "documents", {
      template_version_id: 1,
      status: "done",
      input: "{}",
      output_path: "",
      pages: 1,
      bytes: 5_000_000_000n,
      created_at: "2024-01-02T03:04:00.000Z",
      finished_at: finishedAt,
    });
  }
}

/** The same name composed and decomposed, a right-to-left one, COPY's own marks; an empty file. */
async function filenames(session: Session): Promise<void> {
  for (const filename of [
    "caf\u00e9.png",
    "cafe\u0301.png",
    "שלום.png",
    "\\N",
    "a\tb\r\n.png",
    "",
  ]) {
    await insert(session, "assets", { user_id: 1, filename, data: new Uint8Array(0) });
  }
}

/** A text of some 300 KB, far over what a page or a network packet holds. */
async function largeTemplate(session: Session): Promise<void> {
  const html = "<p>Rëchnung \\ \"1\" & 'zwei'</p>\n".repeat(10_000);
  const id = "ffffffff-0000-4000-8000-000000000000";
  await insert(session, "templates", { id, user_id: 1, name: "large", current_version: 1 });
  await insert(session, "template_versions", {
    template_id: id,
    version: 1,
    html,
    sha256: "",
    sample: '{"b":1,"a":2,"b":3}',
  });
}

/** An invoice's number is never given out twice, although the last one was deleted. */
async function lastInvoiceDeleted(session: Session): Promise<void> {
  await insert(session, "invoices", {
    id: 9_000,
    user_id: 1,
    amount: 1,
    period_start: "2026-01-01",
  });
  await session.run("DELETE FROM invoices WHERE id = 9000");
}
