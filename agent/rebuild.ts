import { readdirSync } from 'node:fs';
import { plural } from '../program/plural.ts';
import { encodeBase64, equal } from '../tlog/bytes.ts';
import { signEnrolment, verifyEnrolment } from '../tlog/enrolment.ts';
import { stemLeafHash } from '../tlog/entry.ts';
import { verifySeal } from '../tlog/seal.ts';
import { logId } from '../tlog/origin.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, formatVkey, parseVkey, signerKey, type Signer } from '../tlog/vkey.ts';
import type { Reading } from './clock.ts';
import { moveEntries } from './continue.ts';
import { event } from './events.ts';
import { beginGeneration, generationPart, openSealer, previousOf, sealState, type DeviceName, type Paths } from './generation.ts';
import { readIdentityFile } from './identity.ts';
import { KeyFile } from './keys.ts';
import { Log, type SealLimits } from './log.ts';
import { describeGaps, looseMessages } from './loose.ts';
import { follow, inOrder, recoverPrefix, type Prefix, type Recovered } from './prefix.ts';
import type { EntryRow, LogRow } from './row.ts';
import { Salvage, type Remains } from './salvage.ts';
import { entryPayloadHash, saltsOfRow } from './salts.ts';
import type { Random } from './seal.ts';
import { Store } from './store.ts';

const REASON = 'the store was damaged';

export interface RebuildOptions {
  readonly suite: Suite;
  /** Of the new store; keys are where they were. */
  readonly paths: Paths;
  readonly name: DeviceName;
  readonly limits: SealLimits;
  readonly random: Random;
  readonly read: () => Reading;
  /** The damaged store. */
  readonly source: string;
  /** The folder where it will stand. */
  readonly aside: string;
  /** What is wrong with it. */
  readonly damage: string;
  /** Told now and then that it goes on. */
  readonly onStep: () => void;
}

/**
 * Makes a new store of what is left of a damaged one: each log up to where its chain can be followed, closed; then a new generation
 * that continues the newest of them, says what happened, and takes over what no collector is known to hold: first, as after any
 * closing, entries of the recovered part; then those that were found behind a gap, of which nothing but their bytes speaks. Returns
 * what it found, in words, once all of the new store stands in its one file. Unfinished it is to be thrown away.
 */
export function rebuild(options: RebuildOptions): string {
  const { suite, paths, name, random, read, limits, onStep } = options;
  Store.create(paths.store);
  const store = Store.open(paths.store);
  const salvage = new Salvage(options.source, onStep);
  try {
    const found = salvage.logs.flatMap((remains) => {
      const row = remains.row ?? missingRow(suite, paths, salvage, remains);
      return row === undefined || !isSound(suite, row) ? [] : [{ row, remains }];
    });
    const recovered = found.map(({ row, remains }, number): Recovered => {
      const log = { ...row, number };
      return { row: log, remains, ...recoverLog(options, store, salvage, remains, log) };
    });
    const row = store.transaction(() => {
      keepSheds(store, salvage, recovered);
      for (const { row: log, size, sealed, receipted } of recovered) {
        const undelivered = Math.min(size, log.undelivered ?? Math.max(sealed, receipted));
        store.closeLog(log.number, log.closed ?? REASON, undelivered);
      }
      const closed = recovered.at(-1)?.row;
      const previous = closed === undefined ? {} : previousOf(suite, store.rows, paths, closed);
      return beginGeneration(suite, store, paths, name, random, previous);
    });
    const state = sealState(suite, store.rows, row);
    const sealer = openSealer(suite, paths, row, state, random);
    if (sealer === undefined) throw new Error('expected the key that was just made, got none');
    const log = Log.open(row.number, state, { suite, store, sealer, limits, random });
    moveEntries({ suite, store, read, isFull: () => false, onStep }, log);
    const before = log.size;
    log.append([event(read(), 'trouble', { what: `the store was damaged: ${options.damage}` })]);
    for (const batch of looseMessages(read, salvage, recovered)) {
      log.append(batch);
      onStep();
    }
    const what = describe(options, salvage, recovered, log.size - before - 1);
    log.append([event(read(), 'trouble', { what })]);
    sealer.close();
    store.emptyWal();
    return what;
  } finally {
    salvage.close();
    store.close();
  }
}

function recoverLog({ suite, onStep }: RebuildOptions, store: Store, salvage: Salvage, remains: Remains, row: LogRow): Prefix {
  store.transaction(() => {
    store.insertLog(row);
    if (row.admission !== null) store.admitLog(row.number, row.admission);
  });
  const steps = recoverPrefix(suite, store, salvage, remains, row);
  for (;;) {
    const step = store.transaction(() => steps.next());
    if (step.done === true) return step.value;
    onStep();
  }
}

function isSound(suite: Suite, { vkey, origin, enrolment }: LogRow): boolean {
  const isOwn = follow(() => {
    const { identity } = verifyEnrolment(suite, enrolment);
    return identity.name === origin && equal(identity.publicKey, parseVkey(suite, vkey, ED25519).publicKey);
  });
  return isOwn === true;
}

/** Of a log whose row is gone: by the identity key that its first entry hashes with. Its enrolment can be signed again. */
function missingRow(suite: Suite, paths: Paths, salvage: Salvage, remains: Remains): LogRow | undefined {
  const [first] = inOrder(salvage, remains, 0);
  for (const file of readdirSync(paths.keys).filter((name) => name.endsWith('.identity'))) {
    const identity = readIdentityFile(paths.identity(file.slice(0, -'.identity'.length)), suite);
    if (identity === undefined) continue;
    const row = enrolledAgain(suite, paths, identity, salvage, remains);
    if (row !== undefined && startsWith(suite, row, salvage, remains, first)) return row;
  }
  return undefined;
}

function enrolledAgain(suite: Suite, paths: Paths, identity: Signer, salvage: Salvage, remains: Remains): LogRow | undefined {
  const key = signerKey(suite, identity, ED25519);
  const row: LogRow = {
    number: remains.number,
    origin: identity.name,
    vkey: formatVkey(key),
    enrolment: new Uint8Array(),
    admission: null,
    closed: null,
    undelivered: null,
  };
  const keys = KeyFile.read(paths.epochs(generationPart(row)), suite, logId(suite, key));
  const sealKey = salvage.seal(remains, 0)?.publicKey ?? keys.find(({ k }) => k === 0)?.publicKey;
  return sealKey === undefined ? undefined : { ...row, enrolment: signEnrolment(suite, { identity, sealKey }) };
}

/** Whether a seal, or where there is none the first entry, is of the log with this key. */
function startsWith(
  suite: Suite,
  { vkey }: LogRow,
  salvage: Salvage,
  remains: Remains,
  first: readonly EntryRow[] | undefined,
): boolean {
  const id = logId(suite, parseVkey(suite, vkey, ED25519));
  const seal = salvage.seal(remains, remains.seals.first ?? 0);
  if (seal !== undefined) return follow(() => (verifySeal(suite, { ...seal, logId: id }), true)) === true;
  const epoch = salvage.epoch(remains, 0);
  if (epoch === undefined || first === undefined) return false;
  const salt = saltsOfRow(suite, epoch.saltKey, epoch.salts)(0);
  return first.some((entry) => {
    const leaf = follow(() => stemLeafHash(suite, id, entry.stem, entryPayloadHash(suite, entry, salt)));
    return entry.index === 0 && leaf !== undefined && equal(leaf, entry.leaf);
  });
}

/** Why payloads are not there any more; in the ids of the old store, which hold as long as no log was lost before them. */
function keepSheds(store: Store, salvage: Salvage, recovered: readonly Recovered[]): void {
  for (const { row, remains } of recovered) {
    if (row.number !== remains.number) return;
    for (const { first, end, by } of salvage.sheds(remains)) store.keepShed(first, end, by);
  }
}

/** For people. */
export function describeUnread(pages: number): string {
  return `${pages} ${plural(pages, 'page')} of the file could not be read from the disk`;
}

function describe({ aside }: RebuildOptions, salvage: Salvage, recovered: readonly Recovered[], loose: number): string {
  const logs = recovered.map(({ row, size, receipted, remains }) => {
    const last = salvage.seal(remains, remains.seals.last ?? 0);
    const head =
      last === undefined ? 'no seal was found' : `the last seal found is at ${last.size}, root ${encodeBase64(last.root)}`;
    // From `undelivered` on they went on under the next log already.
    const end = Math.min(row.undelivered ?? Infinity, Math.max((remains.entries.last ?? -1) + 1, last?.size ?? 0));
    const lost = describeGaps(remains, Math.max(size, receipted), end);
    return [`of ${row.origin} the first ${size} ${plural(size, 'entry was', 'entries were')} recovered`, ...lost, head].join(
      ', ',
    );
  });
  const unread = salvage.unreadablePages === 0 ? [] : [describeUnread(salvage.unreadablePages)];
  const found = [...unread, ...(logs.length === 0 ? ['no log was found in it'] : logs)];
  return `${found.join('; ')}; ${loose} ${plural(loose, 'entry that was', 'entries that were')} found outside of the chain ${plural(loose, 'was', 'were')} recorded again; the damaged files stand in ${aside}`;
}
