import { describe, expect, test } from "vitest";
import { productSwitch } from "../src/runbook/product-switch.ts";
import { withoutSecrets } from "../src/runbook/safe-url.ts";

describe("a connection URL in a runbook", () => {
  test.each([
    ["postgres://shop:secret@db:5432/shop", "postgres://shop@db:5432/shop"],
    ["postgres://shop:s%40cret@db/shop?sslmode=require", "postgres://shop@db/shop?sslmode=require"],
    ["postgres://db/shop?user=a&password=secret&sslpassword=secret", "postgres://db/shop"],
    ["postgres://db/shop?PassWord=secret&passfile=/secret", "postgres://db/shop"],
    ["postgres://db/shop?options=-c%20app.token%3Dsecret", "postgres://db/shop"],
    ["postgres:///shop?host=/run/postgresql", "postgres:///shop?host=%2Frun%2Fpostgresql"],
    ["postgres://shop:secret@one,two:5433/shop", "postgres://shop@one,two:5433/shop"],
    ["postgres://shop:12/secret@db/shop", "(the URL of the configuration)"],
    ["postgres://shop:12?secret@db/shop", "(the URL of the configuration)"],
    ["postgres://shop:12#secret@db/shop", "(the URL of the configuration)"],
    ["postgres://shop:sec/ret@db/shop", "(the URL of the configuration)"],
  ])("%s is printed as %s", (url, printed) => {
    expect(withoutSecrets(url)).toBe(printed);
  });
});

describe("the product's own switch in a runbook", () => {
  test.each([
    ["TOKEN=secret /usr/bin/switch"],
    ["/usr/bin/switch --token secret"],
    ["https://hooks.example.com/secret?token=secret"],
    ["https://user:secret@hooks.example.com/"],
    [["switch", "--token=secret"]],
    [{ url: "https://hooks.example.com/secret" }],
  ])("%j is named without what may be a token", (onCutover) => {
    const printed = JSON.stringify(productSwitch({ onCutover }));
    expect(printed).not.toContain("secret");
    expect(printed).toContain("migrate.onCutover");
  });

  test("is said to be missing where there is none", () => {
    expect(JSON.stringify(productSwitch({}))).toContain("none is configured");
    expect(productSwitch({ budgetSeconds: 5 }).budget).toBe("5.00 s");
  });
});
