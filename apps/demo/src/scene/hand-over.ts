import { writeEnvironment } from "../folder.ts";
import { binDirectory } from "../lifeboat.ts";
import { blank, heading, line } from "../narration.ts";
import type { Product } from "../product.ts";
import type { Show } from "../show.ts";
import type { Mistake } from "./drop-table.ts";

/** Leaves the repository and the SQLite databases, with commands to try on them. */
export async function handOver(
  show: Show,
  products: readonly Product[],
  { instantBefore }: Mistake,
): Promise<void> {
  heading("Yours to play with");
  for (const product of products) await product.traffic?.stop();
  const variables = products.map(({ name, path }) => [
    [`${name.toUpperCase()}_REPOSITORY`, show.folder.repository],
    [`${name.toUpperCase()}_SQLITE`, path],
  ]);
  const file = await writeEnvironment(show.folder, {
    PATH: `${binDirectory}:$PATH`,
    LIFEBOAT_STATE_DIRECTORY: show.folder.state,
    ...Object.fromEntries(variables.flat()),
  });
  const copy = `${show.folder.path}/copy`;
  for (const command of [
    `. ${file}`,
    "lifeboat-cronping list",
    "lifeboat-cronping backup",
    "lifeboat-cronping verify --deep",
    `lifeboat-cronping restore --to ${copy}`,
    "lifeboat-flagbit drill",
    `lifeboat-documint drill --engine postgres --at ${instantBefore}`,
    "lifeboat-documint doctor",
    "lifeboat-webhookvault --help",
  ])
    line(command);
  blank();
  line(`The repository: ${show.folder.repository} (it explains itself in RESTORE.md)`);
}
