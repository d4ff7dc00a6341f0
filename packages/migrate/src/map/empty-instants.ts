import { type ColumnProfile, storedValues } from "../column-profile.ts";
import type { Mapping } from "./decide-type.ts";

/** A column whose mapping is chosen, as far as others go by it. */
export interface ChosenColumn {
  readonly declaredType: string;
  readonly profile: ColumnProfile;
  readonly mapping: Mapping | null;
}

/**
 * An instant of which no row holds any yet (`deleted_at`) says nothing of how the product spells it, but the others of its
 * declaration do, where they all are one way. What it then spells otherwise is refused by name, as in those.
 * @returns null where they are not, or there is none
 */
export function likeOthers(
  { declaredType, profile }: ChosenColumn,
  others: readonly ChosenColumn[],
): Mapping | null {
  if (storedValues(profile) > 0 || !/DATE|TIME/i.test(declaredType)) return null;
  const alike = others.filter(
    (one) =>
      one.declaredType.toUpperCase() === declaredType.toUpperCase() &&
      storedValues(one.profile) > 0,
  );
  const [first] = alike;
  const mapping = first?.mapping ?? null;
  if (mapping === null || !/^(iso|epoch)-/.test(mapping.codec)) return null;
  return alike.every((one) => one.mapping?.codec === mapping.codec) ? mapping : null;
}
