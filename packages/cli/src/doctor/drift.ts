import type { Finding } from "@lifeboat/core";
import type { Session } from "../session.ts";

export async function examineDrift(_session: Session): Promise<Finding[]> {
  return [];
}
