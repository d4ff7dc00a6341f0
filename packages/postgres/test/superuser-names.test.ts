import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { availableMajors, startCluster, type TestCluster } from "../../../test/support/postgres.ts";
import { superuserNames } from "../src/files/superuser-names.ts";

describe.each(await availableMajors())("superusers in the files of version %i", (major) => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await startCluster({ major });
    await cluster.query('create role "Kapitän zur See" superuser login');
    await cluster.query("create role cannot_enter superuser nologin");
    await cluster.query("create role plain login");
    for (let n = 0; n < 200; n++) await cluster.query(`create role many${n} login`);
    await cluster.query("create role last superuser login");
    await cluster.query("vacuum full pg_authid");
    await cluster.server.stop();
  });

  afterAll(() => cluster.stop());

  test("are those that may log in, wherever the catalog's file has moved", async () => {
    const names = await superuserNames(cluster.dataDirectory);
    expect(names.toSorted()).toEqual(["Kapitän zur See", "last", "postgres"]);
  });
});
