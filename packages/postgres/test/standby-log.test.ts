import { expect, test } from "vitest";
import { removedSegment } from "../src/standby/standby-log.ts";

const removed = (segment: string) =>
  `FATAL:  could not receive data from WAL stream: ERROR:  requested WAL segment ${segment} has already been removed\n`;
const [first, second] = ["00000001000000000000000C", "00000001000000000000000D"] as const;

test("a standby waits for the segment that its primary has removed, until it goes on by archive or by streaming", () => {
  expect(removedSegment("LOG:  entering standby mode\n")).toBeUndefined();
  expect(removedSegment(`${removed(first)}${removed(second)}`)).toBe(second);
  for (const onward of [
    `LOG:  restored log file "${first}" from archive\n`,
    "LOG:  started streaming WAL from primary at 0/C000000 on timeline 1\n",
  ]) {
    expect(removedSegment(`${removed(first)}${onward}`)).toBeUndefined();
    // What it asked for later is removed too.
    expect(removedSegment(`${removed(first)}${onward}${removed(second)}`)).toBe(second);
  }
  // A history comes out of the archive for one that waits as well.
  const history = 'LOG:  restored log file "00000002.history" from archive\n';
  expect(removedSegment(`${removed(first)}${history}`)).toBe(first);
});

test.each([
  [
    "German",
    "FATAL:  konnte keine Daten vom WAL-Stream empfangen: FEHLER:  das angeforderte WAL-Segment %s wurde schon entfernt",
    "LOG:  Logdatei »%s« aus Archiv wiederhergestellt",
    "LOG:  WAL-Streaming vom Primärserver gestartet bei 0/C000000 auf Zeitleiste 1",
  ],
  [
    "German, as a server without UTF-8 writes it,",
    "FATAL:  konnte keine Daten vom WAL-Stream empfangen: FEHLER:  das angeforderte WAL-Segment %s wurde schon entfernt",
    "LOG:  Logdatei ?%s? aus Archiv wiederhergestellt",
    "LOG:  WAL-Streaming vom Prim?rserver gestartet bei 0/C000000 auf Zeitleiste 1",
  ],
  [
    "French",
    "FATAL:  n'a pas pu recevoir des données du flux de WAL : ERREUR:  le segment demandé du journal de transaction, %s, a déjà été supprimé",
    "LOG:  restauration du journal de transactions «\u00a0%s\u00a0» à partir de l'archive",
    "LOG:  démarré le flux des journaux depuis le principal à 0/C000000 sur la timeline 1",
  ],
  [
    "Japanese, behind a primary that speaks English,",
    "FATAL:  WAL ストリームからデータを受信できませんでした: ERROR:  requested WAL segment %s has already been removed",
    'LOG:  ログファイル"%s"をアーカイブからリストアしました',
    "LOG:  プライマリのタイムライン1の 0/C000000からでWALストリーミングを始めます",
  ],
])(
  "the same is read in a log that is in %s with a prefix of its own",
  (_, asks, restored, streams) => {
    const line = (text: string, segment: string = first) =>
      `2026-11-28 20:25:59.123 UTC [4711] ${text.replace("%s", segment)}\n`;
    const waits = line("LOG:  … 0/C000018");
    expect(removedSegment(line(asks) + waits)).toBe(first);
    expect(removedSegment(line(asks) + line(restored))).toBeUndefined();
    expect(removedSegment(line(asks) + line(streams))).toBeUndefined();
    expect(removedSegment(line(streams) + line(asks, second))).toBe(second);
    // What a restore_command says of a segment is no primary's word.
    expect(removedSegment(`cp: cannot stat '/archive/${first}': No such file\n`)).toBeUndefined();
    expect(removedSegment(`lifeboat: ${first} is not there\n`)).toBeUndefined();
  },
);
