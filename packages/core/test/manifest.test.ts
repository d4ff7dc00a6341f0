import { decodeManifest, encodeManifest, type Manifest } from "@lifeboat/core";
import { expect, test } from "vitest";

const digest = { bytes: 3, sha256: "a".repeat(64) };
const manifest: Manifest = {
  format: 1,
  id: "20261122T101500.123Z-full",
  app: "documint",
  engine: "sqlite",
  database: "app",
  type: "full",
  parent: null,
  label: null,
  startedAt: "2026-11-22T10:15:00.123Z",
  finishedAt: "2026-11-22T10:15:01.000Z",
  consistentAt: "2026-11-22T10:15:00.500Z",
  sourceBytes: 3,
  storedBytes: 3,
  tool: "lifeboat test",
  objects: [{ object: "app.db.zst", role: "database", content: digest, stored: digest }],
  details: { pageSize: 4096 },
};

test("a manifest is read as it was written", () => {
  expect(decodeManifest(encodeManifest(manifest), "m")).toEqual(manifest);
});

test("a manifest cut at any byte is told from a whole one, by name", () => {
  const bytes = encodeManifest(manifest);
  for (let length = 0; length < bytes.length; length += 7)
    expect(() => decodeManifest(bytes.subarray(0, length), "backups/x/manifest.json")).toThrow(
      /backups\/x\/manifest\.json/,
    );
});

test("a manifest with any one byte changed is refused", () => {
  const bytes = encodeManifest(manifest);
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ 1;
    expect(() => decodeManifest(changed, "m"), `byte ${at}`).toThrow();
  }
});

test("a manifest that would write outside its folder is refused although its digest is right", () => {
  const hostile = [
    "../x",
    "/etc/passwd",
    "a/../../x",
    "a/b/c",
    "",
    ".hidden",
    "a\\b",
    "a/../b",
    "x\0",
  ];
  for (const object of hostile) {
    const entry = { object, role: "database", content: digest, stored: digest };
    const bytes = encodeManifest({ ...manifest, objects: [entry] });
    expect(() => decodeManifest(bytes, "m"), object).toThrow(/objects\[0\]/);
  }
  for (const app of ["..", "a/b", ""])
    expect(() => decodeManifest(encodeManifest({ ...manifest, app }), "m"), app).toThrow(/"app"/);
});

test("a manifest of a newer format says so", () => {
  const bytes = encodeManifest({ ...manifest, format: 2 } as unknown as Manifest);
  expect(() => decodeManifest(bytes, "m")).toThrow(
    expect.objectContaining({ code: "FORMAT_TOO_NEW" }),
  );
});

test("a missing or mistyped member is named", () => {
  for (const member of [
    "id",
    "engine",
    "database",
    "startedAt",
    "consistentAt",
    "sourceBytes",
    "objects",
    "details",
  ]) {
    const { [member as keyof Manifest]: _, ...rest } = manifest;
    expect(() => decodeManifest(encodeManifest(rest as Manifest), "m"), member).toThrow(
      new RegExp(`"${member}"`),
    );
  }
});

test.each(["2026-11-99T10:15:00.123Z", "2026-11-22T10:15:00Z", "2026-11-22 10:15:00.123Z", 7])(
  "%j is no instant of a manifest",
  (instant) => {
    for (const member of ["startedAt", "finishedAt", "consistentAt"]) {
      const bytes = encodeManifest({ ...manifest, [member]: instant } as Manifest);
      expect(() => decodeManifest(bytes, "m"), member).toThrow(new RegExp(`"${member}"`));
    }
  },
);
