import { expect, test } from "vitest";
import { conninfoValue, passfileLines, primaryConninfo } from "../src/standby/conninfo.ts";

const place = { host: "/srv/its sockets", port: 5433, user: "o'brien\\" };

test("a standby's conninfo holds whatever names its primary has, and no password", () => {
  const url = "postgres://u:secret@/app?host=/srv/its%20sockets&sslmode=require";
  const conninfo = primaryConninfo({ url }, place, { name: "lifeboat_x", passfile: "/x/it's" });
  expect(conninfo).not.toContain("secret");
  for (const [key, value] of Object.entries({
    host: place.host,
    user: place.user,
    passfile: "/x/it's",
  }))
    expect(conninfoValue(conninfo, key)).toBe(value);
  expect(conninfoValue(conninfo, "sslmode")).toBe("require");
});

test("a password file names a socket by its folder, and as the client's own", () => {
  expect(passfileLines(place, "a:b")).toBe(
    "/srv/its sockets:5433:*:o'brien\\\\:a\\:b\nlocalhost:5433:*:o'brien\\\\:a\\:b\n",
  );
  expect(passfileLines({ host: "db", port: 1, user: "u" }, "p")).toBe("db:1:*:u:p\n");
});
