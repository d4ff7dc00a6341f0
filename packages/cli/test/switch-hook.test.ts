import { once } from "node:events";
import { mkdtempDisposable, readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LifeboatError } from "@lifeboat/core";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Hook } from "../src/configuration.ts";
import { runSwitch } from "../src/switch-hook.ts";

const FACTS = { app: "shop", engine: "postgres" } as const;
const run = (hook: Hook, signal = new AbortController().signal) => runSwitch(hook, FACTS, signal);

async function serve(answer: RequestListener): Promise<URL> {
  const server = createServer(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/switch`);
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return JSON.parse(Buffer.concat(parts).toString());
}

describe("a switch by HTTP", () => {
  test("is asked by POST for the engine that the product moves to, and done when it answers 2xx", async () => {
    const asked: unknown[] = [];
    const url = await serve(async (request, response) => {
      const { "content-type": type, authorization } = request.headers;
      asked.push([request.method, type, authorization, await bodyOf(request)]);
      response.writeHead(204).end();
    });
    await run({ url: url.href });
    await run(url.href);
    const one = ["POST", "application/json", undefined, FACTS];
    expect(asked).toEqual([one, one]);
  });

  test("has the user and password of its URL in a header, where it asks for them", async () => {
    let authorization: string | undefined;
    const url = await serve((request, response) => {
      authorization = request.headers.authorization;
      response.end();
    });
    url.username = "deploy";
    url.password = "s3%3Acret";
    await run(url.href);
    expect(authorization).toBe(`Basic ${Buffer.from("deploy:s3:cret").toString("base64")}`);
  });

  test.each([500, 404, 302])(
    "has failed where it answers %i, and is told without its path",
    async (status) => {
      let requests = 0;
      const url = await serve((_, response) => {
        requests++;
        response.writeHead(status, { location: "/login" }).end("token-in-a-body");
      });
      url.searchParams.set("token", "s3cret");
      await expect(run(url.href)).rejects.toMatchObject({
        code: "HOOK_FAILED",
        message: `migrate.onCutover: ${url.host} answered with status ${status}`,
      });
      expect(requests).toBe(1);
    },
  );

  test("is told without user and password where nobody listens", async () => {
    const failure = run("http://deploy:s3cret@127.0.0.1:1/switch?token=s3cret");
    await expect(failure).rejects.toMatchObject({
      code: "HOOK_FAILED",
      message: expect.stringMatching(
        /^migrate\.onCutover: 127\.0\.0\.1:1 can't be asked: (?!.*s3cret)/,
      ),
    });
  });

  test("ends with its budget", async () => {
    const url = await serve(() => {});
    await expect(run(url.href, AbortSignal.timeout(50))).rejects.toMatchObject({
      name: "TimeoutError",
    });
  });
});

describe("a switch by a command", () => {
  test("fails with what it said, and is told without its arguments", async () => {
    for (const hook of [
      "TOKEN=s3cret; echo 'no such host' >&2; exit 7",
      ["sh", "-c", "echo 'no such host' >&2; exit 7", "--token=s3cret"],
    ]) {
      const failure = await run(hook).catch((thrown: unknown) => thrown);
      expect(failure).toMatchObject({
        code: "HOOK_FAILED",
        message: "migrate.onCutover: its command ended with exit status 7",
        details: { said: "no such host" },
      });
    }
  });

  test("is told by its last words alone", async () => {
    const hook = "head -c 600 /dev/zero | tr '\\0' x >&2; echo 'no such host' >&2; exit 7";
    const failure = await run(hook).catch((thrown: unknown) => thrown);
    const { said } = (failure as LifeboatError).details as { said: string };
    expect(said).toMatch(/^x{100,487}no such host$/);
  });

  test("that is no program, or was killed, has failed", async () => {
    await expect(run(["/nowhere/switch"])).rejects.toMatchObject({
      message: expect.stringContaining("ENOENT"),
    });
    await expect(run("kill -9 $$")).rejects.toMatchObject({
      message: "migrate.onCutover: its command was ended by SIGKILL",
    });
  });

  test("ends with its budget, in order where it can, and all that it has started with it", async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), "lifeboat-hook-"));
    const file = join(folder.path, "pid");
    const budget = new AbortController();
    const hook = run(
      `trap 'echo told > ${file}-told; exit 1' TERM; sh -c 'trap "" TERM; echo $$ > ${file}; sleep 600; sleep 600' & wait`,
      budget.signal,
    );
    const pid = async () => Number(await readFile(file, "utf8").catch(() => "0"));
    await expect.poll(pid).toBeGreaterThan(0);
    budget.abort(new DOMException("over", "TimeoutError"));
    await expect(hook).rejects.toMatchObject({ name: "TimeoutError" });
    expect(await readFile(`${file}-told`, "utf8")).toBe("told\n");
    const child = await pid();
    await expect.poll(() => isRunning(child)).toBe(false);
  });

  test("is done when it ends, though what it started in the background lives on", async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), "lifeboat-hook-"));
    const file = join(folder.path, "pid");
    await run(`sleep 600 & echo $! > ${file}`);
    const server = Number(await readFile(file, "utf8"));
    expect(await isRunning(server)).toBe(true);
    process.kill(server);
  });
});

/** A process that ended and that nobody has waited for runs no more. */
async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat !== "" && !/\) [ZX] /.test(stat);
}
