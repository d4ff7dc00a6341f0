// biome-ignore-all lint/complexity/useArrowFunction: an old Node must be able to parse this file
// biome-ignore-all lint/style/useTemplate: the same
// biome-ignore-all lint/style/useNodejsImportProtocol: the same
// biome-ignore-all lint/complexity/useOptionalChain: the same
var fs = require("fs");
var path = require("path");

/*
 * Older ones read only the first zstd frame of a file and say nothing (up to 25), or die of a
 * segmentation fault in better-sqlite3 (up to 20).
 */
var NEEDED_MAJOR = 26;

/* A restore_command that ends with up to 125 tells PostgreSQL that the archive ends here. */
var STOP_RECOVERY = 126;

/* What was to be printed did not get to where it was sent, such as a file on a full disk. */
var outputLost = false;

/* The work is done; what it printed may still have to be taken. */
var isLeaving = false;

var STOPPED = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/**
 * Checks Node's version, then runs a command from its bundle, or from its sources where they are
 * newer. The module that is loaded exports `run(argv)`, which resolves to the exit status. This file is
 * plain ES5, since any Node must parse it before it can look at the version.
 * @param {string} packageDirectory the command's package, absolute
 * @param {string} sourceEntry its entry among the sources, relative: "src/main.ts"
 * @param {string} bundleEntry its entry in the bundle, relative: "dist/bin/main.js"
 */
function start(packageDirectory, sourceEntry, bundleEntry) {
  /* If the work is ever forgotten on the way, that must not look like success. */
  process.exitCode = statusOf(1);
  if (Number(process.version.slice(1).split(".")[0]) < NEEDED_MAJOR) {
    refuse("Node " + process.version + " is too old, " + NEEDED_MAJOR + ".0 or newer is needed");
    return;
  }
  beginFrugally();
  Object.keys(STOPPED).forEach(catchSignal);
  process.on("uncaughtException", crash);
  process.on("exit", endEarly);
  process.stdout.on("error", notTaken);
  process.stderr.on("error", readerLeft);
  /* What a configuration module prints must not get among the result. */
  console.log = console.info = console.debug = console.error;
  try {
    require(entryOf(packageDirectory, sourceEntry, path.join(packageDirectory, bundleEntry)))
      .run(process.argv)
      .then(leave, crash);
  } catch (failure) {
    crash(failure);
  }
}

/**
 * A watch lives for months beside a product. Blocks of a MiB and frames of all sizes, taken and given back by several threads,
 * leave glibc's heaps full of holes: a merge of a minute's log needs 27 MB and made them 81 MB larger. A load of values of 16 MB
 * and their way back do the same: 350 MB instead of 250, and 300 instead of 260; and so do the parallel backup and the delta restore of a cluster of 200,000 files: 290 instead
 * of 240 MB. Told so at its start, glibc maps what is large by itself and gives it back at once. So these are begun once more, as the same process. Where somebody has set that himself, or holds a channel to this process,
 * nothing happens; other libraries than glibc don't know it.
 */
function beginFrugally() {
  var env = process.env;
  var threshold = mappedFrom(process.argv.slice(2));
  if (threshold === null || process.platform !== "linux" || process.send) return;
  if (!process.execve || env.MALLOC_MMAP_THRESHOLD_ !== undefined) return;
  env.MALLOC_MMAP_THRESHOLD_ = threshold;
  var words = [process.execPath].concat(process.execArgv, process.argv.slice(1));
  process.execve(process.execPath, words, env);
}

/* A cluster of very many files by several workers, or file by file. Any other backup or restore would only be slower by a twentieth. */
var BY_FILE = /^(parallel|--transport=parallel|--jobs(=.*)?|--delta)$/;

/* The verbs of a migration that bring rows from one side to the other. */
var MOVING = ["load", "sync", "rollback"];

/** Bytes; null for all that is too short to be worth it. */
function mappedFrom(words) {
  if (words.indexOf("watch") >= 0) return String(256 * 1024);
  /* An archive_command is to start once only, whatever its app is called. */
  if (words.indexOf("wal") >= 0) return null;
  var isByFile = words.some(function (word) {
    return BY_FILE.test(word);
  });
  var isCopying = words.indexOf("backup") >= 0 || words.indexOf("restore") >= 0;
  if (isByFile && isCopying) return String(512 * 1024);
  var isMoving = MOVING.some(function (verb) {
    return words[words.indexOf(verb) - 1] === "migrate";
  });
  /* Above the chunks that every load sends: to map each of those would only cost time. */
  return isMoving ? String(4 * 1024 * 1024) : null;
}

/** The bundle if nothing of the sources is newer, or there are none (an installed package); else the sources. */
function entryOf(packageDirectory, sourceEntry, bundle) {
  var source = path.join(packageDirectory, sourceEntry);
  var built = modifiedAt(bundle);
  if (built === null) return source;
  if (modifiedAt(source) === null) {
    keepCompiled(bundle);
    return bundle;
  }
  var packages = path.join(__dirname, "..", "..");
  var directories = fs.readdirSync(packages).map(function (name) {
    return path.join(packages, name);
  });
  var isCurrent = directories.concat(packageDirectory).every(function (directory) {
    return isOlder(path.join(directory, "src"), built);
  });
  var configuration = modifiedAt(path.join(packageDirectory, "lifeboat.config.ts"));
  if (!isCurrent || (configuration !== null && configuration >= built)) return source;
  keepCompiled(bundle);
  return bundle;
}

/**
 * What V8 made of the bundle lies beside it for the next start, of which compiling is a part. Only for whom the bundle
 * belongs to: what another account left there could not be removed by the next build. Where nothing can be written,
 * nothing is kept, and nothing is said.
 */
function keepCompiled(bundle) {
  var own = !process.getuid || fs.statSync(bundle).uid === process.getuid();
  var directory = path.join(path.dirname(bundle), "compiled");
  if (own) require("module").enableCompileCache({ directory: directory, portable: true });
}

/** A directory's own time tells that a file in it was renamed or removed. */
function isOlder(directory, instant) {
  var own = modifiedAt(directory);
  if (own === null) return true;
  if (own >= instant) return false;
  return fs.readdirSync(directory, { withFileTypes: true }).every(function (entry) {
    var inside = path.join(directory, entry.name);
    return entry.isDirectory() ? isOlder(inside, instant) : modifiedAt(inside) < instant;
  });
}

function modifiedAt(file) {
  try {
    return fs.statSync(file).mtimeMs;
  } catch (failure) {
    if (failure.code === "ENOENT" || failure.code === "ENOTDIR") return null;
    throw failure;
  }
}

/**
 * Node alone would end at a signal without a word, and with no exit status: while the command is loaded, and once its work is
 * done. What runs in between is stopped by its own listener (stop-signal.ts), which hears of those while it was loaded, too.
 */
function catchSignal(signal) {
  process.on(signal, function () {
    if (!isLeaving) return;
    /* Nobody may ever read what the pipe holds: then this is how it ends. */
    if (process.stdout.writableLength > 0) process.exit(stoppedStatus(signal));
  });
}

/* An archiver ends with a command that ends above 125. */
function stoppedStatus(signal) {
  var wal = process.argv.indexOf("wal");
  return wal > 1 && process.argv[wal + 1] === "push" ? 1 : STOPPED[signal];
}

/** Ends the process once everything printed has been taken: a pipe may still be full. */
function leave(status) {
  isLeaving = true;
  process.stdout.write("", function (failure) {
    if (failure) notTaken(failure);
    process.stderr.write("", function () {
      process.exit(outputLost && status === 0 ? statusOf(1) : status);
    });
  });
}

/** A module that the configuration names may end the process, or wait for what never comes: then nothing else would say so. */
function endEarly() {
  if (isLeaving) return;
  var message = "the command ended before its work was done";
  var remedy =
    "look for process.exit, or for an await that never ends, in the configuration and what it imports";
  process.exitCode = statusOf(1);
  var json = process.argv.indexOf("--json") > 0;
  var error = { code: "ENDED_EARLY", message: message, remedy: remedy, details: {} };
  fs.writeSync(json ? 1 : 2, textOf(error, json));
}

/** `lifeboat list | head -1`: what nobody reads any more need not be written. */
function notTaken(failure) {
  if (failure.code === "EPIPE" || outputLost) return;
  outputLost = true;
  process.stderr.write("lifeboat: the result could not be written: " + failure.message + "\n");
}

/** Progress and messages: with a closed terminal or a full disk behind them the work goes on. */
function readerLeft() {}

function refuse(message) {
  var remedy = "run the command by its link in node_modules/.bin, which has a Node of its own";
  say({ code: "NODE_TOO_OLD", message: message, remedy: remedy, details: {} });
  leave(statusOf(2));
}

function crash(failure) {
  var message = "cannot go on: " + (failure && failure.stack ? failure.stack : failure);
  var remedy = "run `npm run setup` in Lifeboat's directory; if that does not help, report it";
  say({ code: "INTERNAL", message: message, remedy: remedy, details: {} });
  leave(statusOf(1));
}

function say(error) {
  var json = process.argv.indexOf("--json") > 0;
  (json ? process.stdout : process.stderr).write(textOf(error, json));
}

function textOf(error, json) {
  if (json) return JSON.stringify({ error: error }, null, 2) + "\n";
  return "lifeboat: " + error.message + ": " + error.remedy + "\n";
}

function statusOf(status) {
  var wal = process.argv.indexOf("wal");
  return wal > 1 && process.argv[wal + 1] === "fetch" ? STOP_RECOVERY : status;
}

exports.start = start;
