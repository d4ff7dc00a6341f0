import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { pack } from "tar-stream";

/** A file of a dump, where it lies and what it is called in a tar. */
export interface DumpFile {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
}

/** What goes into a tar: a file as it lies, or a text. */
export type TarEntry = DumpFile | { readonly name: string; readonly text: string };

/** Files one after the other, a new part begun where the one before has its size. A file is never cut. */
export function partsOf(files: readonly DumpFile[], partBytes: number): DumpFile[][] {
  const parts: DumpFile[][] = [];
  let room = 0;
  for (const file of files) {
    if (parts.length === 0 || file.bytes > room) {
      parts.push([]);
      room = partBytes;
    }
    parts.at(-1)?.push(file);
    room -= file.bytes;
  }
  return parts;
}

/** One tar of these, as `tar -x` reads it. */
export async function* tarOf(
  entries: Iterable<TarEntry> | AsyncIterable<TarEntry>,
  digested: (name: string, sha256: string) => void = () => {},
): AsyncGenerator<Uint8Array> {
  const tar = pack();
  // What goes wrong is told by the archive, which it ends.
  feed(tar, entries, digested).catch((cause: unknown) => tar.destroy(cause as Error));
  for await (const chunk of tar) yield chunk as Uint8Array;
}

async function feed(
  tar: ReturnType<typeof pack>,
  entries: Iterable<TarEntry> | AsyncIterable<TarEntry>,
  digested: (name: string, sha256: string) => void,
): Promise<void> {
  for await (const entry of entries) {
    const hash = createHash("sha256");
    if ("text" in entry) {
      const bytes = Buffer.from(entry.text);
      tar.entry({ name: entry.name, mode: 0o600 }, bytes);
      hash.update(bytes);
    } else {
      const sink = tar.entry({ name: entry.name, mode: 0o600, size: entry.bytes });
      const source = createReadStream(entry.path, { highWaterMark: 1 << 18 });
      await pipeline(
        source,
        async function* (content) {
          for await (const chunk of content) {
            hash.update(chunk as Uint8Array);
            yield chunk;
          }
        },
        sink,
      );
    }
    digested(entry.name, hash.digest("hex"));
  }
  tar.finalize();
}
