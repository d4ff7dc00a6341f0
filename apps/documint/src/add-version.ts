import { createHash } from "node:crypto";
import { insert, number, type Random, type Session } from "@lifeboat/traffic";

/** Publishes a new version of a template: its text, its digest, and the template's own count. */
export async function addVersion(
  session: Session,
  random: Random,
  templateId: string,
): Promise<void> {
  await session.run(
    "UPDATE templates SET current_version = current_version + 1 WHERE id = ?",
    templateId,
  );
  const html = `<html><body>${random.prose(random.below(20_000))}</body></html>`;
  await insert(session, "template_versions", {
    template_id: templateId,
    version: await number(
      session,
      "SELECT current_version FROM templates WHERE id = ?",
      templateId,
    ),
    html,
    css: random.pick(["", "body { margin: 2cm }"]),
    sample: random.pick([null, '{"customer": "Zoë"}']),
    sha256: createHash("sha256").update(html).digest("hex"),
  });
}
