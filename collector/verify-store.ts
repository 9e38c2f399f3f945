import { equal } from '../tlog/bytes.ts';
import { verifyCheckpoint } from '../tlog/checkpoint.ts';
import { TlogError } from '../tlog/error.ts';
import { rootOf } from '../tlog/merkle.ts';
import { parseNote } from '../tlog/note.ts';
import { verifyReceipt } from '../tlog/receipt.ts';
import type { Suite } from '../tlog/suite.ts';
import { COSIGNATURE, ED25519, parseVkey } from '../tlog/vkey.ts';
import { Failure } from '../program/failure.ts';
import { fail, failures, pass, type Finding } from '../program/finding.ts';
import { plural } from '../program/plural.ts';
import { isDamage } from '../program/sqlite-error.ts';
import type { ForkRow } from './row.ts';
import type { Store } from './store.ts';
import { verifyFleetLog } from './verify-fleet.ts';
import { verifyLog, type PublicKeys, type Verified } from './verify.ts';
import type { OnFault } from './verify-entry.ts';

/**
 * Checks everything the collector keeps, each thing with a line; `onEntries` is told of progress over all logs. Where tables are not
 * what they were made as, or the public keys can't be read, nothing else is looked at.
 */
export function verifyStore(suite: Suite, store: Store, onEntries: (done: number) => void): Finding[] {
  const gathered = new Gathered(store);
  const { findings } = gathered;
  if (findings.some(({ status, what }) => status === 'FAIL' && what === 'tables')) return findings;
  const keys = gathered.attempt(
    (fault) => findings.push(fail('public keys', fault)),
    () => readKeys(suite, store),
  );
  if (keys === undefined) return findings;
  let before = 0;
  for (const row of store.logs.all()) {
    gathered.check(row.origin, (onFault) => {
      const found = verifyLog({ suite, store, keys }, row, onFault, (done) => {
        onEntries(before + done);
      });
      before += found.entries;
      return describe(found);
    });
  }
  gathered.check(keys.log.name, (onFault) => {
    const { leaves, signed } = verifyFleetLog(suite, store, keys, onFault);
    return `${leaves} ${plural(leaves, 'leaf', 'leaves')}, ${signed} under its newest checkpoint`;
  });
  gathered.check('forks', (onFault) => {
    const forks = store.evidence.forks();
    for (const fork of forks) {
      gathered.attempt(onFault, () => {
        checkFork(suite, store, keys, fork, onFault);
      });
    }
    return `${forks.length} kept, each with both notes`;
  });
  return findings;
}

function readKeys(suite: Suite, store: Store): PublicKeys {
  const { fleetVkey, collectorVkey, logVkey } = store.fleet.row();
  return {
    fleet: parseVkey(suite, fleetVkey, ED25519),
    collector: parseVkey(suite, collectorVkey, COSIGNATURE),
    log: parseVkey(suite, logVkey, ED25519),
  };
}

/** What is found of a store, thing by thing. */
class Gathered {
  readonly findings: Finding[];
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
    this.findings = store.check();
  }

  /** A line for each fault; where there is none, what `look` says of it. */
  check(what: string, look: (onFault: OnFault) => string): void {
    const faults: string[] = [];
    const onFault = (fault: string): void => void faults.push(fault);
    const well = this.attempt(onFault, () => look(onFault));
    this.findings.push(...(faults.length === 0 ? [pass(what, well ?? '')] : failures(what, faults)));
  }

  /** The result of `work`; where that says damage it is a fault, so that nothing which was found is lost. All else goes through. */
  attempt<T>(onFault: OnFault, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      const told = this.#store.explain(error);
      const saysDamage = told instanceof TlogError || (told instanceof Failure && (told === error || isDamage(told)));
      if (!saysDamage) throw error;
      onFault(told.message);
      return undefined;
    }
  }
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
