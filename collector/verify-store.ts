import { equal } from '../tlog/bytes.ts';
import { verifyCheckpoint } from '../tlog/checkpoint.ts';
import { TlogError } from '../tlog/error.ts';
import { rootOf } from '../tlog/merkle.ts';
import { parseNote } from '../tlog/note.ts';
import { verifyReceipt } from '../tlog/receipt.ts';
import type { Suite } from '../tlog/suite.ts';
import { COSIGNATURE, ED25519, parseVkey } from '../tlog/vkey.ts';
import { failures, pass, type Finding } from '../program/finding.ts';
import { plural } from '../program/plural.ts';
import type { ForkRow } from './row.ts';
import type { Store } from './store.ts';
import { verifyFleetLog } from './verify-fleet.ts';
import { verifyLog, type OnFault, type PublicKeys, type Verified } from './verify.ts';

/**
 * Checks everything the collector keeps, each thing with a line; `onEntries` is told of progress over all logs. Where tables are not
 * what they were made as, nothing else is looked at.
 */
export function verifyStore(suite: Suite, store: Store, onEntries: (done: number) => void): Finding[] {
  const findings = store.check();
  if (findings.some(({ status, what }) => status === 'FAIL' && what === 'tables')) return findings;
  const { fleetVkey, collectorVkey, logVkey } = store.fleet.row();
  const keys: PublicKeys = {
    fleet: parseVkey(suite, fleetVkey, ED25519),
    collector: parseVkey(suite, collectorVkey, COSIGNATURE),
    log: parseVkey(suite, logVkey, ED25519),
  };
  let before = 0;
  for (const row of store.logs.all()) {
    findings.push(
      ...gather(row.origin, (onFault) => {
        const found = verifyLog({ suite, store, keys }, row, onFault, (done) => {
          onEntries(before + done);
        });
        before += found.entries;
        return describe(found);
      }),
    );
  }
  findings.push(
    ...gather(keys.log.name, (onFault) => {
      const { leaves, signed } = verifyFleetLog(suite, store, keys, onFault);
      return `${leaves} ${plural(leaves, 'leaf', 'leaves')}, ${signed} under its newest checkpoint`;
    }),
    ...gather('forks', (onFault) => {
      const forks = store.evidence.forks();
      for (const fork of forks) checkFork(suite, store, keys, fork, onFault);
      return `${forks.length} kept, each with both notes`;
    }),
  );
  return findings;
}

function gather(what: string, check: (onFault: OnFault) => string): Finding[] {
  const faults: string[] = [];
  let sound = '';
  try {
    sound = check((fault) => faults.push(fault));
  } catch (error) {
    if (!(error instanceof TlogError)) throw error;
    faults.push(error.message);
  }
  return faults.length === 0 ? [pass(what, sound)] : failures(what, faults);
}

function describe({ entries, payloads, seals, receipts }: Verified): string {
  return [
    `${entries} ${plural(entries, 'entry', 'entries')} in chain and tree`,
    `${payloads} with payload`,
    `${seals} ${plural(seals, 'seal')}`,
    `${receipts} ${plural(receipts, 'receipt')}`,
  ].join(', ');
}

/** Both notes are the identity key's, and what is held has another root than the one that is not. */
function checkFork(suite: Suite, store: Store, keys: PublicKeys, fork: ForkRow, onFault: OnFault): void {
  const { log, size, root, note, heldNote } = fork;
  const row = store.logs.byNumber(log);
  if (row === undefined) {
    onFault(`fork at ${size}: expected log ${log}, got none there`);
    return;
  }
  const identity = parseVkey(suite, row.vkey, ED25519);
  const [checkpoint, held] = [note, heldNote].map((bytes) => {
    if (parseNote(bytes).signatures.length === 1) return verifyCheckpoint(suite, bytes, identity);
    return verifyReceipt(suite, bytes, { identity, collector: keys.collector });
  });
  if (checkpoint?.size !== size || !equal(checkpoint.root, root))
    onFault(`fork of ${row.origin} at ${size}: expected its note, got another`);
  // A receipt of more entries says what is held at this size by the tree.
  const other = held?.size === size ? held.root : rootOf(suite, size, store.logs.subtree(suite, log));
  if (equal(other, root)) onFault(`fork of ${row.origin} at ${size}: expected two roots, got one`);
}
