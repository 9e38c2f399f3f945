import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../program/failure.ts';
import { fail, pass, warn, type Finding } from '../program/finding.ts';
import { plural } from '../program/plural.ts';
import { attempt } from '../program/sqlite-error.ts';
import { subtreesOf } from '../tlog/subtrees.ts';
import type { Suite } from '../tlog/suite.ts';
import { checkStore } from './check-store.ts';
import { damagedStore } from './damage.ts';
import type { Paths } from './generation.ts';
import { isOfKeys } from './key-check.ts';
import { setAsideIn } from './known.ts';
import { follow, recoverPrefix, type PrefixStore } from './prefix.ts';
import { describeUnread } from './rebuild.ts';
import { damageOf, isRecovering } from './recover.ts';
import { Salvage } from './salvage.ts';
import { STORE } from './schema.ts';
import { Store } from './store.ts';
import { suspectPath, suspicionOf } from './suspect.ts';
import { formatCount } from './trouble.ts';
import { verifyStore } from './verify-store.ts';

/**
 * Explains what is wrong with a store, what of it the agent recovers at its next start, and what was set aside before. Reads only:
 * nothing is moved, changed or deleted, whatever is found.
 */
export function explainStore(suite: Suite, paths: Paths): Finding[] {
  return [...explainOpen(suite, paths), ...setAsideIn(paths).flatMap((name) => explainAside(suite, paths, name))];
}

function explainOpen(suite: Suite, paths: Paths): Finding[] {
  if (isRecovering(paths)) {
    return [fail('store', `the recovery of a damaged one was cut off; start the agent, which goes on with it, and look again`)];
  }
  try {
    const faults = readAll(suite, paths);
    if (faults.length === 0) return [pass('store', `${paths.store} is sound; there is nothing to repair`)];
    const told = faults.map(({ what, detail }) => fail(what, detail));
    const explained = `the agent goes on with this store for as long as it does not need what was changed; tallystick-agent export keeps it as evidence; where a file ${suspectPath(paths)} is made, its next start recovers what is sound`;
    return [
      ...told,
      fail('store', `somebody changed it, or the disk did; ${explained}`),
      ...prefixes(suite, paths.store, 'is sound'),
    ];
  } catch (error) {
    const damage = damageOf(error, paths);
    if (damage !== undefined) {
      const when = isMetAtStart(suite, paths)
        ? 'at its next start'
        : `at the start after it met that, or after somebody made a file ${suspectPath(paths)},`;
      const next = `${when} the agent moves it into a folder ${join(paths.folder, 'damaged-…')}, deletes nothing, recovers what follows and goes on in a new generation`;
      return [fail('store', `is damaged: ${damage}; ${next}`), ...prefixes(suite, paths.store, 'will be recovered')];
    }
    if (error instanceof Failure) return [fail('store', `${error.message}${error.hint === undefined ? '' : `; ${error.hint}`}`)];
    throw error;
  }
}

/** What does not fit in a store that the agent would go on with; throws what keeps it from that. */
function readAll(suite: Suite, { store, ...paths }: Paths): Finding[] {
  const rows = Store.openRows(store);
  try {
    return attempt(STORE.program, store, () => {
      const [damage] = rows.integrity();
      if (damage !== undefined) throw damagedStore(`${store}: expected a sound SQLite database, got a damaged one (${damage})`);
      checkStore(suite, rows, store);
      const findings = verifyStore(suite, rows, { ...paths, store }, () => () => undefined);
      return findings.filter((found) => found.status === 'FAIL' && !isOfKeys(found));
    });
  } finally {
    rows.close();
  }
}

/** Whether the next start finds the damage: it does not look at everything, but for a store that is suspect. */
function isMetAtStart(suite: Suite, paths: Paths): boolean {
  if (suspicionOf(paths) !== undefined) return true;
  try {
    const rows = Store.openRows(paths.store);
    try {
      attempt(STORE.program, paths.store, () => {
        checkStore(suite, rows, paths.store);
      });
    } finally {
      rows.close();
    }
    return false;
  } catch (error) {
    if (damageOf(error, paths) === undefined) throw error;
    return true;
  }
}

function explainAside(suite: Suite, { folder }: Paths, name: string): Finding[] {
  const path = join(folder, name);
  const store = statSync(path).isDirectory() ? join(path, 'log.db') : path;
  if (!existsSync(store)) return [warn(name, `lies in ${folder} and holds no store; it was left as it is`)];
  const bytes = formatCount(statSync(store).size);
  const about = `a damaged store of ${bytes} bytes that was set aside; what was recovered of it is in the store that grows now; keep it as evidence until that is delivered or exported`;
  return [warn(name, about), ...prefixes(suite, store, 'was recovered').map(({ detail }) => warn(name, detail))];
}

/** For each log that is found in a file, how far it holds together, and what is found behind that. */
function prefixes(suite: Suite, store: string, what: string): Finding[] {
  const salvage = new Salvage(store);
  try {
    const found = salvage.logs.map((remains) => {
      const { row, entries, number } = remains;
      if (row === undefined)
        return warn(
          `log ${number}`,
          `its name is gone; ${formatCount(entries.count)} of its entries ${plural(entries.count, 'is', 'are')} found`,
        );
      const prefix = follow(() => result(recoverPrefix(suite, counting(suite), salvage, remains, row)));
      if (prefix === undefined) return warn(row.origin, 'what is found of it does not fit its own key');
      const { size, sealed, receipted } = prefix;
      const from = Math.max(size, receipted);
      const loose = entries.numbers(from);
      const behind =
        loose === 0
          ? ''
          : `; ${formatCount(loose)} ${plural(loose, 'entry that is', 'entries that are')} found behind and nobody else holds: without the chain, as bytes`;
      return warn(
        row.origin,
        `the prefix of ${formatCount(size)} ${plural(size, 'entry', 'entries')} ${what}, ${formatCount(sealed)} of them under seals, ${formatCount(receipted)} held by the collector${behind}`,
      );
    });
    const unread = salvage.unreadablePages;
    return [
      ...(unread === 0 ? [] : [warn('disk', `${describeUnread(unread)}; see the kernel log, the card may be dying`)]),
      ...(found.length === 0 ? [warn('log', 'none is found in what is left of the file')] : found),
    ];
  } finally {
    salvage.close();
  }
}

/** What work in steps comes to. */
function result<T>(steps: Generator<unknown, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Takes a prefix and keeps nothing but the hashes that later ones are made of. */
function counting(suite: Suite): PrefixStore {
  const hashes = new Map<string, Uint8Array>();
  const keep = (_: number, level: number, position: number, hash: Uint8Array): void => {
    hashes.set(`${level}/${position}`, hash);
  };
  const range = (level: number, from: number, count: number): Uint8Array[] =>
    Array.from({ length: count }, (_, i) => hashes.get(`${level}/${from + i}`)).filter((hash) => hash !== undefined);
  const stored = { leaves: (position: number, count: number) => range(0, position, count), subtrees: range };
  return {
    insertEntry: () => undefined,
    insertSeal: () => undefined,
    insertEpoch: () => undefined,
    insertReceipt: () => undefined,
    keepSubtree: keep,
    rows: {
      subtree: () =>
        subtreesOf(suite, stored, (leaf) => {
          throw damagedStore(`expected the hashes that pruning leaves before entry ${leaf}, got none`);
        }),
    },
  };
}
