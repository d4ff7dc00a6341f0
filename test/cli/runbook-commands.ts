import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { marked, type Token } from "marked";

const BIN_DIRECTORY = fileURLToPath(new URL("../../node_modules/.bin", import.meta.url));

/** What a runbook has one type, by the heading of its second level under which it stands. */
export function commandsIn(markdown: string): Map<string, string[]> {
  const commands = new Map<string, string[]>();
  let section = "";
  for (const token of marked.lexer(markdown)) {
    if (token.type === "heading" && token.depth === 2) section = token.text;
    if (token.type !== "code" || token.lang !== "sh") continue;
    commands.set(section, [...(commands.get(section) ?? []), token.text]);
  }
  return commands;
}

/** The same from the page, in order. */
export function commandsInPage(html: string): string[] {
  return [...html.matchAll(/<pre class="command"><code>([^<]*)<\/code><\/pre>/g)].map(
    ([, text = ""]) =>
      text
        .replaceAll("&lt;", "<")
        .replaceAll("&gt;", ">")
        .replaceAll("&quot;", '"')
        .replaceAll("&#39;", "'")
        .replaceAll("&amp;", "&"),
  );
}

/** Every token of a Markdown text, those within others too. */
export function tokensOf(markdown: string): Token[] {
  const tokens: Token[] = [];
  marked.walkTokens(marked.lexer(markdown), (token) => {
    tokens.push(token);
  });
  return tokens;
}

/** Types a line into a shell, far from the folder in which the runbook was rendered. */
export async function typed(line: string, environment: Record<string, string>): Promise<string> {
  const { exitCode, stdout, stderr } = await execa("sh", ["-c", line], {
    cwd: "/",
    env: { ...environment, PATH: `${BIN_DIRECTORY}:${process.env.PATH}` },
    reject: false,
    // A server that it starts goes on writing to what it inherits.
    stdin: "ignore",
  });
  if (exitCode !== 0) throw new Error(`${line}\nended with ${exitCode}\n${stdout}\n${stderr}`);
  return stdout;
}
