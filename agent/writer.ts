import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { EXIT, Failure } from '../program/failure.ts';
import { attempt } from '../program/sqlite-error.ts';
import { checkTables } from './check-store.ts';
import { moveEntries } from './continue.ts';
import { damageIn } from './damage.ts';
import { event, type Events } from './events.ts';
import { beginGeneration, openIdentity, openSealer, previousOf, sealState } from './generation.ts';
import { Log, type Appended, type Message } from './log.ts';
import { isRecovering } from './recover.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';
import { STORE } from './schema.ts';
import type { Random, Sealer } from './seal.ts';
import { openSoundStore, type SoundStoreOptions } from './sound-store.ts';
import { Store, type Place } from './store.ts';
import { StoreLock } from './store-lock.ts';
import { suspectStore } from './suspect.ts';

export interface WriterOptions extends Omit<SoundStoreOptions, 'random'> {
  /** Whether there is no room, of the quota or on the disk; false where it is not given. */
  readonly hasNoRoom?: (rows: Rows) => boolean;
  /** Told when a log is closed and another one continues it. */
  readonly onContinued: (closed: LogRow, by: LogRow) => void;
}

/** For a commit of entries that go on, on a slow card. */
const MOVE_STEP_SECONDS = 120;

const random: Random = () => new Uint8Array(randomBytes(32));

/** The one writer of a store: holds its lock, and always has a log that messages can be appended to. */
export class Writer {
  readonly store: Store;
  /** Set by who watches quota and free space (retention.ts): nothing of producers is taken meanwhile. */
  isFull = false;
  readonly #lock: StoreLock;
  readonly #options: WriterOptions;
  #current: Current;

  private constructor(options: WriterOptions, lock: StoreLock, store: Store) {
    this.#options = options;
    this.#lock = lock;
    this.store = store;
    this.#current = this.#open();
  }

  /** Makes store and first generation in a folder that has none; `Failure` where there is one. */
  static init({ suite, paths, name }: Pick<WriterOptions, 'suite' | 'paths' | 'name'>): LogRow {
    mkdirSync(paths.folder, { recursive: true, mode: 0o750 });
    const lock = new StoreLock(paths.lock);
    try {
      if (isRecovering(paths)) {
        throw new Failure(EXIT.error, `${paths.store}: expected no store yet, got one whose recovery was cut off`, {
          hint: 'start the agent, which goes on with that',
        });
      }
      Store.create(paths.store);
      const store = Store.open(paths.store);
      try {
        // An init that was cut off leaves a store without a log; the next one goes on from there.
        if (store.rows.logs().length > 0) {
          throw new Failure(EXIT.error, `${paths.store}: expected no store yet, got one`, { hint: 'it was left as it is' });
        }
        return store.transaction(() => beginGeneration(suite, store, paths, name, random));
      } finally {
        store.close();
      }
    } finally {
      lock.release();
    }
  }

  /**
   * Takes the lock and opens the log that grows. Where its keys are gone the log is closed and a new generation continues it:
   * capture goes on whatever happened to the old one. A store that is damaged is moved aside, and what can be read of it recovered;
   * one that is suspect is looked through first.
   */
  static open(options: WriterOptions): Writer {
    const lock = new StoreLock(options.paths.lock);
    try {
      return openSoundStore({ ...options, random }, (store) => new Writer(options, lock, store));
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  get row(): LogRow {
    return this.#current.row;
  }

  /** The log that grows; opened again after a commit that failed, which throws as long as what made it fail is there. */
  get log(): Log {
    if (this.#current.log.hasFailed) {
      const { sealer } = this.#current;
      this.#current = attempt(STORE.program, this.#options.paths.store, () => this.#open());
      sealer.close();
    }
    return this.#current.log;
  }

  /** Entries that a collector holds, as far as its receipts say. */
  get receipted(): number {
    return this.store.rows.latestReceipt(this.#current.row.number)?.size ?? 0;
  }

  /** Records what producers sent; `Failure` (try later) where the store is full. */
  append(messages: readonly Message[]): Appended {
    if (this.isFull) {
      throw new Failure(EXIT.tryLater, `${this.#options.paths.folder}: expected room for messages, got a store that is full`, {
        hint: 'nothing that was acknowledged is lost; connect the collector, or raise store.quota_bytes or free disk',
      });
    }
    return this.log.append(messages);
  }

  /** Records an event of the agent's own, for which there is always room. */
  tell<Topic extends keyof Events>(topic: Topic, payload: Events[Topic]): Place {
    const { first } = this.log.append([event(this.#options.read(), topic, payload)]);
    return { log: this.#current.row.number, index: first };
  }

  /** Where an error says that the store is damaged, the `Failure` for it. */
  damageIn(error: unknown): Failure | undefined {
    return damageIn(this.#options.paths.store, error);
  }

  /**
   * What to end with after `error` ended the work with this writer. Where it says that the store is damaged, the store is marked: the
   * next start looks through all of it.
   */
  endWith(error: unknown): unknown {
    const damage = this.damageIn(error);
    return damage === undefined ? error : suspectStore(this.#options.paths, damage);
  }

  close(): void {
    this.#current.sealer.close();
    this.store.close();
    this.#lock.release();
  }

  /**
   * Closes the log that grows and continues it in a new generation, because a collector holds another one. Its entries from
   * `undelivered` on are recorded again in the new log, first of all.
   */
  continueAs(reason: string, undelivered: number): void {
    const { row, sealer } = this.#current;
    sealer.close();
    this.#close(row, reason, undelivered);
    this.#current = this.#open();
  }

  #open(): Current {
    const { suite, paths, name, limits, read, onWait, hasNoRoom } = this.#options;
    const { rows } = this.store;
    const logs = rows.logs();
    const row = logs.at(-1);
    if (row === undefined) {
      throw new Failure(EXIT.error, `${paths.store}: expected a log, got none`, { hint: 'run tallystick-agent init' });
    }
    if (row.closed !== null)
      throw new Failure(EXIT.error, `${paths.store}: expected the newest log to be open, got a closed one`);
    if (!row.origin.startsWith(`${name.fleet}/${name.device}/`)) {
      throw new Failure(EXIT.config, `${paths.store}: expected a log of ${name.fleet}/${name.device}, got ${row.origin}`, {
        hint: 'a store is of one device: give device.fleet and device.name as they were, or another store.directory',
      });
    }
    const state = sealState(suite, rows, row);
    const identity = openIdentity(suite, paths, row);
    const sealer = openSealer(suite, paths, row, state, random);
    if (identity === undefined || sealer === undefined) {
      sealer?.close();
      const reason = identity === undefined ? 'the identity key is lost' : 'the epoch key is lost';
      // Where seals can't be read, the key that seals next can't be known; a log is not given up for that.
      const bytes = rows.bytes();
      checkTables(rows, paths.store, (seconds) => onWait?.({ work: 'check', reason, bytes, seconds }));
      // What is sealed can be delivered without the epoch key, and nothing without the identity key.
      const receipted = rows.latestReceipt(row.number)?.size ?? 0;
      this.#close(row, reason, identity === undefined ? receipted : Math.max(receipted, state.size));
      return this.#open();
    }
    try {
      const log = Log.open(row.number, state, { suite, store: this.store, sealer, limits, random });
      const reason = logs.at(-2)?.closed ?? '';
      const onStep = (entries: number): void => onWait?.({ work: 'move', reason, entries, seconds: MOVE_STEP_SECONDS });
      moveEntries({ suite, store: this.store, read, isFull: () => hasNoRoom?.(rows) === true, onStep }, log);
      return { row, log, sealer };
    } catch (error) {
      sealer.close();
      throw error;
    }
  }

  /** Ends a log and begins the next generation, in one transaction. */
  #close(closed: LogRow, reason: string, undelivered: number): void {
    const { suite, paths, name, onContinued } = this.#options;
    const previous = previousOf(suite, this.store.rows, paths, closed);
    const row = this.store.transaction(() => {
      this.store.closeLog(closed.number, reason, undelivered);
      return beginGeneration(suite, this.store, paths, name, random, previous);
    });
    onContinued({ ...closed, closed: reason, undelivered }, row);
  }
}

interface Current {
  readonly row: LogRow;
  readonly log: Log;
  readonly sealer: Sealer;
}
