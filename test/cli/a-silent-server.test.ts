import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startCluster, type TestCluster } from "../support/postgres.ts";
import { makeLedger } from "../support/sqlite.ts";
import { UnreliableProxy } from "../support/unreliable-proxy.ts";
import { BIN, Place } from "./command.ts";

let cluster: TestCluster;
let place: Place;

const configureFor = (url: string) =>
  place.write("lifeboat.config.json", {
    app: "shop",
    repository: { type: "filesystem", path: "repository" },
    sqlite: { path: "app.db" },
    postgres: { url },
  });

beforeAll(async () => {
  cluster = await startCluster();
  place = await Place.make();
  makeLedger(place.at("app.db"));
  await configureFor(cluster.superuserUrl);
  expect(await place.run(["backup"])).toMatchObject({ status: 0 });
});
afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
  await cluster?.stop();
});

test.each(["status --engine postgres", "doctor --engine postgres", "migrate status"])(
  "%s is not held by a server that answers nothing any more, once it is to stop",
  async (line) => {
    await using proxy = await UnreliableProxy.start(cluster.port);
    await configureFor(proxy.through(cluster.superuserUrl));
    const child = spawn(process.execPath, [BIN, ...line.split(" "), "--json"], {
      cwd: place.path,
      env: { ...process.env, ...place.environment },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const gone = once(child, "exit");
    const stdout = text(child.stdout);
    proxy.silenceAt("postgres", () => child.kill("SIGINT"));
    expect((await gone)[0]).toBe(130);
    // One that was waited for would say that the signal came too late.
    expect(JSON.parse(await stdout).error.message).toBe("stopped by SIGINT");
  },
);
