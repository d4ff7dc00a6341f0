import { type Account, namedAccount, unprivilegedOwner } from "../files/account.ts";

/** For root: whoever owns the directory already, else the account that owned the original, if this host knows it. */
export async function ownerFor(place: string, owner: string | null): Promise<Account> {
  const names = owner === null ? [] : [owner];
  const fallback = await namedAccount(...names, "postgres", "nobody");
  return fallback.foreign ? ((await unprivilegedOwner(place)) ?? fallback) : fallback;
}
