import { SqliteApp } from "./sqlite-repository.ts";

/** One backup or restore in a process of its own, so that a test can kill all of it. */
const [folder, path, verb, to] = process.argv.slice(2);
if (folder === undefined || path === undefined)
  throw new Error("a folder and a database are needed");
const app = new SqliteApp(folder, path);
process.stdout.write("started\n");
if (verb === "restore" && to !== undefined) await app.restore(to);
else await app.backup();
process.stdout.write("done\n");
