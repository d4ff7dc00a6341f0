import { resolve } from "node:path";
import { runSteps } from "@lifeboat/core";
import { expect, test } from "vitest";
import type { GlobalOptions } from "../src/global-options.ts";
import { Session } from "../src/session.ts";

function sessionOf(global: Partial<GlobalOptions>): Session {
  const { signal } = new AbortController();
  const own = { program: "lifeboat", ownCommand: [], builtIn: undefined, signal, run: runSteps };
  return new Session({ ...own, global: global as GlobalOptions });
}

test("a line to copy names the same configuration or repository, as a shell takes it", () => {
  expect(sessionOf({}).commandLine).toBe("lifeboat");
  expect(sessionOf({ config: "/etc/my app.json" }).commandLine).toBe(
    "lifeboat --config '/etc/my app.json'",
  );
  expect(sessionOf({ repository: "/var/it's", app: "shop" }).commandLine).toBe(
    `lifeboat --repository '/var/it'\\''s' --app shop`,
  );
});

test("a repository named from here is named so that it is found from anywhere", async () => {
  const options = await sessionOf({ repository: "backups", app: "shop" }).repositoryOptions();
  expect(options).toEqual(["--repository", resolve("backups"), "--app", "shop"]);
});

test("an engine that a verb has nothing to do with is refused, and its own or none is not", () => {
  const check = (engine?: "sqlite" | "postgres") =>
    sessionOf(engine ? { engine } : {}).assertEngine(["postgres"], "slots");
  expect(() => check("sqlite")).toThrow(
    expect.objectContaining({ kind: "usage", message: expect.stringContaining("slots") }),
  );
  check("postgres");
  check();
});
