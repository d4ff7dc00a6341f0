import { spawn } from "node:child_process";
import { openSync, writeSync } from "node:fs";

/** Drives the `sqlite3` program as a writer: a commit, its acknowledgement into the ledger, the next. */
const [path, ledger] = process.argv.slice(2);
if (path === undefined || ledger === undefined)
  throw new Error("a database and a ledger are needed");

// Interactive, since it flushes what it says only then.
const shell = spawn("sqlite3", ["-interactive", "-batch", "-init", "/dev/null", path], {
  stdio: ["pipe", "pipe", "inherit"],
});
const acknowledged = openSync(ledger, "a");
process.stdin.resume();
process.stdin.on("end", () => shell.stdin.end());
shell.on("exit", (code) => process.exit(code ?? 1));

shell.stdin.write(".timeout 60000\nPRAGMA synchronous=NORMAL;\n");
let heard = "";
let askedAt = performance.now();
shell.stdout.on("data", (chunk: Buffer) => {
  heard += chunk.toString();
  for (;;) {
    const match = /ack:(\d+)\n/.exec(heard);
    if (!match) return;
    heard = heard.slice(match.index + match[0].length);
    const milliseconds = (performance.now() - askedAt).toFixed(1);
    writeSync(acknowledged, `${match[1]} ${Date.now()} ${milliseconds}\n`);
    commitNext();
  }
});
commitNext();

function commitNext(): void {
  // It was told to end before this commit was acknowledged.
  if (!shell.stdin.writable) return;
  askedAt = performance.now();
  shell.stdin.write(
    `BEGIN IMMEDIATE;
INSERT INTO ledger SELECT v + 1, randomblob(200) FROM counter;
UPDATE ledger SET payload = randomblob(200) WHERE seq = 1 + abs(random()) % (SELECT v FROM counter);
UPDATE counter SET v = v + 1;
COMMIT;
SELECT 'ack:' || v FROM counter;
`,
  );
}
