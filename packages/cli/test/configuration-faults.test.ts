import { describe, expect, test } from "vitest";
import { COMPLETE, failureOf } from "./configuration-case.ts";

describe("of a configuration is refused, with its path,", () => {
  const { sqlite, ...rest } = COMPLETE;
  test.each([
    ["a document that is no object", 5, "must be an object, not a number"],
    ["a missing app", { ...COMPLETE, app: undefined }, "app: is missing"],
    ["an empty app", { ...COMPLETE, app: "" }, "app: is empty"],
    ["an app that is no folder name", { ...COMPLETE, app: "a/b" }, "app: may hold only"],
    ["a missing repository", { app: "a", sqlite }, "repository: is missing"],
    [
      "a repository of no known type",
      { ...COMPLETE, repository: { type: "ftp", path: "/x" } },
      'repository.type: must be "filesystem"',
    ],
    [
      "no database at all",
      { app: "a", repository: COMPLETE.repository },
      "sqlite: is missing, and postgres too",
    ],
    ["an empty list of databases", { ...COMPLETE, sqlite: [] }, "sqlite: is empty"],
    [
      "a database that is a text",
      { ...COMPLETE, sqlite: "/a.db" },
      "sqlite: must be an object, not a string",
    ],
    [
      "two databases of one name",
      { ...rest, sqlite: [{ path: "/a/x.db" }, { path: "/b/x.sqlite" }] },
      'sqlite[1].path: gives a second database the name x: give the database one beside its path, as in "name": "orders"',
    ],
    [
      "one file under two names",
      {
        ...rest,
        sqlite: [
          { name: "x", path: "/a/x.db" },
          { name: "y", path: "/a/../a/x.db" },
        ],
      },
      "sqlite[1].path: is the file of sqlite[0] too",
    ],
    ["a null", { ...COMPLETE, postgres: null }, "postgres: must be an object, not null"],
    [
      "a level that is a text",
      { ...COMPLETE, compression: { level: "3" } },
      "compression.level: must be a number, not a string",
    ],
    [
      "a policy without its bound",
      { ...COMPLETE, archive: { policy: "database" } },
      "archive: policy database needs maxBacklog",
    ],
    [
      "a bound where the server has its own",
      { ...COMPLETE, archive: { mode: "receive", maxBacklog: "1G" } },
      "archive: mode receive has no maxBacklog",
    ],
    [
      "a NUL byte in a path",
      { ...COMPLETE, repository: { type: "filesystem", path: "/var/\0backups" } },
      "repository.path: holds a NUL byte",
    ],
    [
      "what is nested very deep",
      { ...COMPLETE, app: JSON.parse(`${"[".repeat(1e5)}${"]".repeat(1e5)}`) },
      "app: is nested more than 32 levels deep, or holds itself",
    ],
    [
      "what holds itself",
      { ...COMPLETE, more: holdsItself() },
      "more: is nested more than 32 levels deep",
    ],
    ["a list of configurations", [COMPLETE], "must be an object, not a list"],
    [
      "a level that zstd has and Lifeboat does not",
      { ...COMPLETE, compression: { level: 20 } },
      "compression.level: must be 1 to 19",
    ],
    [
      "no time at all for a switch",
      { ...COMPLETE, migrate: { budget: 0 } },
      "migrate.budget: must be more than 0",
    ],
    [
      "a broken level",
      { ...COMPLETE, compression: { level: 1.5 } },
      "compression.level: must be a whole number",
    ],
    [
      "a check without a statement",
      { ...COMPLETE, drill: { checks: [{ name: "x" }] } },
      "drill.checks[0].sql: is missing",
    ],
    [
      "a check for one engine only",
      { ...COMPLETE, drill: { checks: [{ name: "x", sql: { sqlite: "select 1" } }] } },
      "drill.checks[0].sql.postgres: is missing",
    ],
    [
      "a standby that is no URL",
      { ...COMPLETE, postgres: { ...COMPLETE.postgres, backupFrom: "standby:5432" } },
      "postgres.backupFrom: must start with postgres://",
    ],
    [
      "an extra path that is relative",
      { ...COMPLETE, postgres: { ...COMPLETE.postgres, extraPaths: ["/etc/ssl", "keys"] } },
      "postgres.extraPaths[1]: must be an absolute path",
    ],
    [
      "a schema that is no function",
      { ...COMPLETE, schema: { sqlite: "./schema.ts" } },
      "schema.sqlite: must be a function",
    ],
    [
      "a database whose file makes no folder's name",
      { ...COMPLETE, sqlite: { path: "/srv/my orders.db" } },
      "sqlite.path: makes no safe name for a folder",
    ],
    [
      "a variable with something beside it",
      { ...COMPLETE, app: { env: "PATH", else: "documint" } },
      "app: must be a string, not an object",
    ],
    [
      "a switch that cannot be asked",
      { ...COMPLETE, migrate: { onCutover: { url: "https://" } } },
      "migrate.onCutover.url: is no URL",
    ],
    [
      "a switch whose password cannot be read",
      { ...COMPLETE, migrate: { onRollback: "http://me:100%@switch/shop" } },
      "migrate.onRollback: is no URL",
    ],
  ])("%s", (_, value, said) => {
    const { message, kind } = failureOf(value);
    expect(kind).toBe("usage");
    expect(message).toContain(said);
    expect(message.split("\n")).toHaveLength(1);
  });
});

describe("what the contract names and this version does not do is refused by its path:", () => {
  test.each([
    [
      "encryption",
      { encryption: { recipients: ["age1"], identityFile: { env: "LIFEBOAT_TEST_UNSET" } } },
    ],
    ["encryption", { encryption: false }],
    ["retention", { retention: { full: 4, days: 35 } }],
    ["repository.type", { repository: { type: "s3", bucket: "b" } }],
  ])("%s", (key, addition) => {
    const { code, kind, message, details } = failureOf({ ...COMPLETE, ...addition });
    expect({ code, kind }).toEqual({ code: "NOT_AVAILABLE", kind: "usage" });
    expect(message).toContain(`${key}: `);
    expect(details.keys).toEqual([key]);
    // Who leaves it out should not find the next fault only then.
    const more = failureOf({ ...COMPLETE, ...addition, nonsense: 1 });
    expect(more.code).toBe("CONFIG_INVALID");
    expect(more.message.split("\n").map((each) => each.split(": ")[1])).toEqual([key, "nonsense"]);
  });
});

/** Twice: whoever followed each way would never end. */
function holdsItself(): object {
  const more: Record<string, unknown> = {};
  more.a = more;
  more.b = [more];
  return more;
}
