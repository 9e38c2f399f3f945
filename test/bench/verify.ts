import { hash } from 'node:crypto';
import { pathsIn } from '../../agent/generation.ts';
import { Store } from '../../agent/store.ts';
import { verifyStore } from '../../agent/verify-store.ts';
import { native } from '../../program/native.ts';
import { encodeStem } from '../../tlog/entry.ts';
import { SALT_BYTES } from '../../tlog/payload.ts';
import { alternate, timed } from './alternate.ts';
import { makeMessages, PAYLOAD_BYTES } from './messages.ts';
import { count, formatRatio, verdict, type Line } from './table.ts';

const AT_LEAST = 150_000;

/** All that `tallystick-agent verify` does, against the hash calls that nobody can do without. */
export async function measureVerify(folder: string, entries: number, times: number): Promise<Line> {
  const paths = pathsIn(folder);
  const found = await alternate(
    times,
    async () => {
      const rows = Store.openRows(paths.store);
      const ms = await timed(() => {
        const findings = verifyStore(native, rows, paths, () => () => undefined);
        const failed = findings.find(({ status }) => status === 'FAIL');
        if (failed !== undefined)
          throw new Error(`benchmark: expected a log that verifies, got ${failed.what}: ${failed.detail}`);
      });
      rows.close();
      return (entries * 1000) / ms;
    },
    async () => (entries * 1000) / (await timed(() => hashOnly(entries))),
  );
  return {
    measure: `full local verify of ${count(entries)} entries`,
    ours: `${count(found.ours)}/s`,
    baseline: `crypto.hash alone: ${count(found.baseline)}/s`,
    ratio: formatRatio(found),
    must: `≥ ${count(AT_LEAST)}/s`,
    verdict: verdict(found.ours >= AT_LEAST),
  };
}

/** What `crypto.hash` takes for the same number of hashes over the same number of bytes: payload, leaf, inner node. */
function hashOnly(entries: number): void {
  const [message] = makeMessages();
  if (message === undefined) throw new Error('benchmark: expected a message, got none');
  const payload = Buffer.alloc(1 + PAYLOAD_BYTES + SALT_BYTES);
  const leaf = Buffer.alloc(1 + 32 + encodeStem(message.header).length + 2 + 32);
  const node = Buffer.alloc(1 + 32 + 32);
  for (let i = 0; i < entries; i++) {
    for (const input of [payload, leaf, node]) hash('sha256', input, 'binary');
  }
}
