import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

/** What servers and programs that are started here are told of by LOCPATH. */
export interface GermanLocale extends AsyncDisposable {
  readonly name: "de_DE.UTF-8";
}

/**
 * Makes the German locale in a folder of its own, and has what is started from now on find it: nothing of the system's is changed.
 * @returns undefined where this machine has not what it is made of
 */
export async function germanLocale(): Promise<GermanLocale | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "lifeboat-test-"));
  const name = "de_DE.UTF-8";
  // Servers run as another account.
  await mkdir(join(folder, "locales"), { mode: 0o755 });
  await execa("chmod", ["755", folder]);
  const words = ["-i", "de_DE", "-f", "UTF-8", join(folder, "locales", name)];
  const { failed } = await execa("localedef", words, { reject: false });
  const before = process.env.LOCPATH;
  process.env.LOCPATH = join(folder, "locales");
  const dispose = async () => {
    if (before === undefined) delete process.env.LOCPATH;
    else process.env.LOCPATH = before;
    await rm(folder, { recursive: true, force: true });
  };
  if (!failed) return { name, [Symbol.asyncDispose]: dispose };
  await dispose();
  return undefined;
}
