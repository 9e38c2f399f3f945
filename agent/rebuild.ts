import { readdirSync } from 'node:fs';
import { encodeBase64, equal } from '../tlog/bytes.ts';
import { encode, Reader } from '../tlog/cbor.ts';
import { signCheckpoint } from '../tlog/checkpoint.ts';
import { signEnrolment, verifyEnrolment } from '../tlog/enrolment.ts';
import { readHeader, stemLeafHash, type Attribute } from '../tlog/entry.ts';
import { addAttributes } from '../tlog/message.ts';
import { verifySeal } from '../tlog/seal.ts';
import { logId } from '../tlog/origin.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, formatVkey, parseVkey, signerKey, type Signer } from '../tlog/vkey.ts';
import type { Reading } from './clock.ts';
import { COMMITMENT, moveEntries } from './continue.ts';
import { event } from './events.ts';
import {
  beginGeneration,
  generationPart,
  openIdentity,
  openSealer,
  sealState,
  type DeviceName,
  type Paths,
} from './generation.ts';
import { readIdentityFile } from './identity.ts';
import { KeyFile } from './keys.ts';
import { Log, type Message, type SealLimits } from './log.ts';
import { follow, inOrder, recoverPrefix, type Prefix } from './prefix.ts';
import type { EntryRow, LogRow } from './row.ts';
import { Salvage, type Remains } from './salvage.ts';
import { entryPayloadHash, saltsOfRow } from './salts.ts';
import type { Random } from './seal.ts';
import { Store } from './store.ts';

const MESSAGES_A_COMMIT = 1000;
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
}

/** A log that was found, and how far it could be recovered. */
interface Recovered extends Prefix {
  readonly row: LogRow;
  readonly remains: Remains;
}

/**
 * Makes a new store of what is left of a damaged one: each log up to where its chain can be followed, closed; then a new generation
 * that continues the newest of them, says what happened, and takes over what no collector is known to hold: first, as after any
 * closing, entries of the recovered part; then those that were found behind a gap, of which nothing but their bytes speaks. Returns
 * what it found, in words. Unfinished it is to be thrown away.
 */
export function rebuild(options: RebuildOptions): string {
  const { suite, paths, name, random, read, limits } = options;
  Store.create(paths.store);
  const store = Store.open(paths.store);
  const salvage = new Salvage(options.source);
  try {
    const found = salvage.logs.flatMap((remains) => {
      const row = remains.row ?? missingRow(suite, paths, salvage, remains);
      return row === undefined || !isSound(suite, row) ? [] : [{ row, remains }];
    });
    const recovered = found.map(({ row, remains }, number): Recovered => {
      const log = { ...row, number };
      return { row: log, remains, ...store.transaction(() => recoverLog(suite, store, salvage, remains, log)) };
    });
    const row = store.transaction(() => {
      keepSheds(store, recovered);
      for (const { row: log, size, sealed, receipted } of recovered) {
        const undelivered = Math.min(size, log.undelivered ?? Math.max(sealed, receipted));
        store.closeLog(log.number, log.closed ?? REASON, undelivered);
      }
      return beginGeneration(suite, store, paths, name, random, previousOf(suite, store, paths, recovered.at(-1)?.row));
    });
    const state = sealState(suite, store, row);
    const sealer = openSealer(suite, paths, row, state, random);
    if (sealer === undefined) throw new Error('expected the key that was just made, got none');
    const log = Log.open(row.number, state, { suite, store, sealer, limits, random });
    moveEntries(suite, store.rows, log, read);
    const before = log.size;
    log.append([event(read(), 'trouble', { what: `the store was damaged: ${options.damage}` })]);
    appendLoose(log, looseEntries(options, salvage, recovered));
    const what = describe(options, recovered, log.size - before - 1);
    log.append([event(read(), 'trouble', { what })]);
    sealer.close();
    return what;
  } finally {
    salvage.close();
    store.close();
  }
}

function recoverLog(suite: Suite, store: Store, salvage: Salvage, remains: Remains, row: LogRow): Prefix {
  store.insertLog(row);
  if (row.admission !== null) store.admitLog(row.number, row.admission);
  return recoverPrefix(suite, store, salvage, remains, row);
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
    const row = enrolledAgain(suite, paths, identity, remains);
    if (row !== undefined && startsWith(suite, row, remains, first)) return row;
  }
  return undefined;
}

function enrolledAgain(suite: Suite, paths: Paths, identity: Signer, { number, seals }: Remains): LogRow | undefined {
  const key = signerKey(suite, identity, ED25519);
  const row: LogRow = {
    number,
    origin: identity.name,
    vkey: formatVkey(key),
    enrolment: new Uint8Array(),
    admission: null,
    closed: null,
    undelivered: null,
  };
  const keys = KeyFile.read(paths.epochs(generationPart(row)), suite, logId(suite, key));
  const sealKey = seals.get(0)?.publicKey ?? keys.find(({ k }) => k === 0)?.publicKey;
  return sealKey === undefined ? undefined : { ...row, enrolment: signEnrolment(suite, { identity, sealKey }) };
}

function previousOf(suite: Suite, store: Store, paths: Paths, closed: LogRow | undefined): Parameters<typeof beginGeneration>[5] {
  if (closed === undefined) return {};
  const { rows } = store;
  const identity = openIdentity(suite, paths, closed);
  const seal = rows.lastSeal(closed.number);
  const checkpoint = seal === undefined ? undefined : { origin: closed.origin, size: seal.size, root: seal.root };
  return {
    receipt: rows.latestReceipt(closed.number)?.note,
    checkpoint: identity === undefined || checkpoint === undefined ? undefined : signCheckpoint(suite, checkpoint, identity),
    identity,
  };
}

/** Whether a seal, or where there is none the first entry, is of the log with this key. */
function startsWith(suite: Suite, { vkey }: LogRow, { seals, epochs }: Remains, first: readonly EntryRow[] | undefined): boolean {
  const id = logId(suite, parseVkey(suite, vkey, ED25519));
  const [seal] = seals.values();
  if (seal !== undefined) return follow(() => (verifySeal(suite, { ...seal, logId: id }), true)) === true;
  const epoch = epochs.get(0);
  if (epoch === undefined || first === undefined) return false;
  const salt = saltsOfRow(suite, epoch.saltKey, epoch.salts)(0);
  return first.some((entry) => {
    const leaf = follow(() => stemLeafHash(suite, id, entry.stem, entryPayloadHash(suite, entry, salt)));
    return entry.index === 0 && leaf !== undefined && equal(leaf, entry.leaf);
  });
}

/** Why payloads are not there any more; in the ids of the old store, which hold as long as no log was lost before them. */
function keepSheds(store: Store, recovered: readonly Recovered[]): void {
  for (const { row, remains } of recovered) {
    if (row.number !== remains.number) return;
    for (const { first, end, by } of remains.sheds) store.keepShed(first, end, by);
  }
}

/** What no collector is known to hold and no recovered log has: bytes that were found, without the chain that would vouch for them. */
function* looseEntries({ read }: RebuildOptions, salvage: Salvage, recovered: readonly Recovered[]): Generator<Message> {
  for (const remains of salvage.logs) {
    const log = recovered.find((candidate) => candidate.remains === remains);
    const from = Math.max(log?.size ?? 0, log?.receipted ?? 0);
    for (const [entry] of inOrder(salvage, remains, from)) {
      // From there on they went on under the next log already.
      if (entry === undefined || entry.index >= (log?.row.undelivered ?? Infinity)) break;
      const message = follow(() => looseMessage(entry, log?.row.origin, read()));
      if (message !== undefined) yield message;
    }
  }
}

/** Of a log whose name is lost there is no `$log`. */
function looseMessage({ index, stem, payload, payloadHash }: EntryRow, origin: string | undefined, reading: Reading): Message {
  const header = readHeader(new Reader(stem));
  const own: Attribute[] = [
    ['$index', String(index)],
    ...(origin === undefined ? [] : [['$log', origin] as const]),
    ['$time', String(header.time)],
  ];
  const attributes = addAttributes(header.attributes, payload === null ? [...own, COMMITMENT] : own);
  return { header: { ...header, ...reading, attributes }, payload: payload ?? encode([payloadHash ?? NONE, new Uint8Array()]) };
}

function appendLoose(log: Log, messages: Iterable<Message>): void {
  let batch: Message[] = [];
  for (const message of messages) {
    batch.push(message);
    if (batch.length < MESSAGES_A_COMMIT) continue;
    log.append(batch);
    batch = [];
  }
  if (batch.length > 0) log.append(batch);
}

function describe({ aside }: RebuildOptions, recovered: readonly Recovered[], loose: number): string {
  const logs = recovered.map(({ row, size, remains }) => {
    const last = [...remains.seals.values()].reduce<{ size: number; root: Uint8Array }>(
      (most, seal) => (seal.size > most.size ? seal : most),
      { size: 0, root: NONE },
    );
    const head =
      last.size === 0 ? 'no seal was found' : `the last seal found is at ${last.size}, root ${encodeBase64(last.root)}`;
    return `of ${row.origin} the first ${size} entries were recovered, ${head}`;
  });
  const found = logs.length === 0 ? ['no log was found in it'] : logs;
  return `${found.join('; ')}; ${loose} entries that were found outside of the chain were recorded again; the damaged files stand in ${aside}`;
}

const NONE = new Uint8Array(32);
