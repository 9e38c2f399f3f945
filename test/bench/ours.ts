import { existsSync } from 'node:fs';
import { pathsIn } from '../../agent/generation.ts';
import { Writer } from '../../agent/writer.ts';
import { native } from '../../program/native.ts';
import { encodeStem } from '../../tlog/entry.ts';
import { EPOCH_BYTES, EPOCH_ENTRIES } from '../../tlog/seal.ts';
import type { Heard } from './messages.ts';
import type { Side } from './side.ts';

const NAME = { fleet: 'bench', device: 'gateway-1' };

/** The writer that `tallystick-agent` has, at default limits: chain, tree, seals, key file, lock. */
export function openWriter(folder: string): Writer {
  const paths = pathsIn(folder);
  if (!existsSync(paths.store)) Writer.init({ suite: native, paths, name: NAME });
  return Writer.open({
    suite: native,
    paths,
    name: NAME,
    limits: { entries: EPOCH_ENTRIES, bytes: EPOCH_BYTES },
    read: () => ({ time: Date.now() * 1000, clock: 0 }),
    onContinued: ({ closed }) => {
      throw new Error(`benchmark: expected the log to go on, got it closed: ${closed ?? ''}`);
    },
  });
}

/** What capture does for each message, and the commit. */
export function record(writer: Writer, heard: readonly Heard[]): void {
  writer.append(heard.map(({ header, payload }) => ({ stem: encodeStem(header), payload })));
}

export const OURS: Side = {
  name: 'tallystick',
  what: 'the agent’s own writer: every message hashed, chained and in the tree, sealed at 1,024 entries or 64 KiB',
  open(folder) {
    const writer = openWriter(folder);
    return Promise.resolve({
      synchronous: String(writer.store.synchronous),
      append: (messages) => {
        record(writer, messages);
        return Promise.resolve();
      },
      count: () => writer.log.size,
      close: () => {
        writer.close();
        return Promise.resolve();
      },
    });
  },
};
