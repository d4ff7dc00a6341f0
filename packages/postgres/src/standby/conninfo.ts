import { parseConnectionUrl, type ServerConnection } from "../connection/connection.ts";

/** How a standby reaches its primary. */
export interface PrimaryPlace {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

/** Of the URL's parameters those that say how the connection is secured; none of them is a secret. */
const KEPT_PARAMETERS = ["sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl"];

/**
 * `primary_conninfo` without a password: that stands in a file of its own, since every base backup of the
 * standby, and whoever may read settings, sees this text.
 */
export function primaryConninfo(
  { url }: ServerConnection,
  place: PrimaryPlace,
  { name, passfile }: { readonly name: string; readonly passfile: string | undefined },
): string {
  const parameters = parseConnectionUrl(url) as Readonly<Record<string, unknown>>;
  // Not by URL: one that names its socket in a parameter has no host, and that is none to it.
  const secured = new URLSearchParams(/\?([^#]*)/.exec(url)?.[1]);
  const pairs: [string, string][] = [
    ["host", place.host],
    ["port", String(place.port)],
    ["user", place.user],
    ["application_name", name],
  ];
  if (passfile !== undefined) pairs.push(["passfile", passfile]);
  for (const parameter of KEPT_PARAMETERS) {
    const value = secured.get(parameter) ?? parameters[parameter];
    if (typeof value === "string") pairs.push([parameter, value]);
  }
  return pairs.map(([key, value]) => `${key}=${quoted(value)}`).join(" ");
}

/** A line of a password file (the manual, "The Password File"): for replication, and for asking. */
export function passfileLine({ host, port, user }: PrimaryPlace, password: string): string {
  const place = host.startsWith("/") ? "localhost" : host;
  return `${[place, String(port), "*", user, password].map(field).join(":")}\n`;
}

/** The value of a key in a connection string; undefined when it is not there. */
export function conninfoValue(conninfo: string, key: string): string | undefined {
  const match = new RegExp(`(?:^|\\s)${key}\\s*=\\s*('(?:[^'\\\\]|\\\\.)*'|\\S+)`).exec(conninfo);
  const value = match?.[1];
  return value?.startsWith("'") ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value;
}

function quoted(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

function field(text: string): string {
  return text === "*" ? text : text.replace(/[\\:]/g, "\\$&");
}
