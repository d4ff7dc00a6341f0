import { fileURLToPath } from "node:url";
import { execa } from "execa";

const builder = new URL("../../packages/cli/build.mjs", import.meta.url);
const entry = fileURLToPath(new URL("../../packages/cli/src/main.ts", import.meta.url));

/** Bundles the command from its sources as they are now into a directory. */
export async function bundle(directory: string): Promise<void> {
  const program = `
    const { bundle } = await import(${JSON.stringify(builder.href)});
    await bundle(${JSON.stringify(entry)}, ${JSON.stringify(directory)});`;
  await execa(process.execPath, ["--input-type=module", "--eval", program]);
}
