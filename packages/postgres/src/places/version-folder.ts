/** A folder that a server made in a tablespace, `PG_15_202209061`: the major version and the catalog's. */
const ANY_VERSION = /^PG_\d+_\d+$/;

/**
 * The one folder that servers of a major version make in a tablespace, and what lies in it. A tablespace lies where
 * its cluster says, and beside this folder another version's may lie there, which pg_upgrade has made for a cluster
 * of its own: a server may be alive on it.
 */
export function versionFolder(major: number | string): RegExp {
  return new RegExp(`^PG_${major}_\\d+(/|$)`);
}

/**
 * Whether an entry keeps a copy out of a place. Of a tablespace all do but the folders of other versions.
 * @param own of a tablespace: its version's folder; left out where a place is the copy's alone
 */
export function isInTheWay(name: string, own?: RegExp): boolean {
  return own === undefined || own.test(name) || !ANY_VERSION.test(name);
}
