import type { Choice } from "@lifeboat/migrate";

/** An answer as it stands in the configuration's `migrate.columns`. */
export function choiceText(table: string | null, column: string | null, choice: Choice): string {
  const key = [table, column].filter((part) => part !== null).join(".");
  return `${JSON.stringify(key)}: ${JSON.stringify(choice)}`;
}
