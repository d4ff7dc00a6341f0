/**
 * The URL of a module that is started by its file (a worker thread, a child process) and lies beside
 * the calling one: a `.ts` file among the sources, a `.js` file in the bundle, where all entries
 * lie in one folder.
 */
export function siblingModule(callerUrl: string, name: string): URL {
  return new URL(`./${name}${callerUrl.endsWith(".ts") ? ".ts" : ".js"}`, callerUrl);
}
