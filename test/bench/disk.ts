import { openWriter, record } from './ours.ts';
import { folderBytes } from './folder.ts';
import { groupsOf, makeMessages, PAYLOAD_BYTES } from './messages.ts';
import { count, verdict, type Line } from './table.ts';

const MAX_BYTES = 330;
const GROUP = 1000;

/** Makes the log that the other measures read, and says what it takes on the disk: log, seals, hashes, keys, after a clean stop. */
export function measureDisk(folder: string, entries: number): { line: Line; note: string } {
  const writer = openWriter(folder);
  for (const group of groupsOf(makeMessages(), GROUP, entries)) record(writer, group);
  writer.log.seal();
  const running = folderBytes(folder);
  writer.close();
  const stopped = folderBytes(folder);
  const bytes = stopped / entries;
  return {
    line: {
      measure: `disk per message of ${PAYLOAD_BYTES} bytes, all included`,
      ours: `${bytes.toFixed(1)} bytes`,
      baseline: '',
      ratio: '',
      must: `≤ ${MAX_BYTES} bytes`,
      verdict: verdict(bytes <= MAX_BYTES),
    },
    note: `While the agent runs there is SQLite's WAL too, ${((running - stopped) / 2 ** 20).toFixed(1)} MiB however long the log is: ${count(running / entries)} bytes a message of ${count(entries)}.`,
  };
}
