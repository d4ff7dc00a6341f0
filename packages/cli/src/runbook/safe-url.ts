const WITHHELD = "(the URL of the configuration)";

/** Query parameters of a connection URL that say where it leads, and nothing that opens it. */
const KEPT = new Set(["host", "port", "dbname", "sslmode", "application_name"]);

/**
 * A connection URL as it may be printed: without its password and without parameters that may hold one. One that
 * can't be taken apart is not printed at all.
 */
export function withoutSecrets(url: string): string {
  if (!URL.canParse(url)) return WITHHELD;
  const { protocol, username, host, pathname, search, hash, searchParams } = new URL(url);
  // Where a password holds a bare mark of URLs, its first part was taken for a port.
  if (`${pathname}${search}${hash}`.includes("@")) return WITHHELD;
  const kept = [...searchParams].filter(([name]) => KEPT.has(name.toLowerCase()));
  const query = kept.length === 0 ? "" : `?${new URLSearchParams(kept)}`;
  return `${protocol}//${username === "" ? "" : `${username}@`}${host}${pathname}${query}`;
}
