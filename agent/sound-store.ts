import { attempt } from '../program/sqlite-error.ts';
import { checkStore, checkWholeStore } from './check-store.ts';
import { damageOf, finishRecovery, isRecovering, recoverStore, type Recovery, type RecoverOptions } from './recover.ts';
import { STORE } from './schema.ts';
import { Store } from './store.ts';
import { acquit, suspicionOf } from './suspect.ts';

export interface SoundStoreOptions extends Omit<RecoverOptions, 'damage' | 'onStep'> {
  /** Told when a damaged store was moved aside. */
  readonly onRecovered?: (recovery: Recovery) => void;
  /** Told of what a start has to wait for, before it begins and while it goes on. */
  readonly onWait?: (wait: Wait) => void;
  /** Told when all of a store that was suspect was found sound; `met`: what had been met. */
  readonly onAcquitted?: (met: string) => void;
}

/** Work that may take minutes, while nothing is recorded. */
export type Wait = {
  /** Why. */
  readonly reason: string;
  /** Within so many seconds more is told. */
  readonly seconds: number;
} & (
  | {
      readonly work: 'check' | 'recovery';
      /** Of the store. */
      readonly bytes: number;
    }
  | {
      readonly work: 'move';
      /** Of a closed log, that are still to go on in the next one. */
      readonly entries: number;
    }
);

/** For a step of a recovery, on a slow card. */
const RECOVERY_STEP_SECONDS = 120;

/**
 * Opens the store to write and gives it to `use`, with the lock held. One that is damaged, whether that is found here or by `use`, is
 * moved aside, and what can be read of it recovered; one that is suspect is looked through before. The caller closes the store.
 */
export function openSoundStore<T>(options: SoundStoreOptions, use: (store: Store) => T): T {
  const { paths } = options;
  if (isRecovering(paths)) recover(options, suspicionOf(paths) ?? 'its recovery was cut off');
  finishRecovery(paths);
  try {
    return open(options, use);
  } catch (error) {
    const damage = damageOf(error, paths);
    if (damage === undefined) throw error;
    recover(options, damage);
    return open(options, use);
  }
}

function open<T>({ suite, paths, onWait, onAcquitted }: SoundStoreOptions, use: (store: Store) => T): T {
  const store = Store.open(paths.store);
  try {
    return attempt(STORE.program, paths.store, () => {
      const { rows } = store;
      const met = suspicionOf(paths);
      if (met === undefined) checkStore(suite, rows, paths.store);
      else {
        const bytes = rows.bytes();
        checkWholeStore(suite, rows, paths.store, (seconds) => onWait?.({ work: 'check', reason: met, bytes, seconds }));
      }
      const used = use(store);
      acquit(paths);
      if (met !== undefined) onAcquitted?.(met);
      return used;
    });
  } catch (error) {
    store.close();
    throw error;
  }
}

function recover({ onRecovered, onWait, ...options }: SoundStoreOptions, damage: string): void {
  const onStep = (bytes: number): void => onWait?.({ work: 'recovery', reason: damage, bytes, seconds: RECOVERY_STEP_SECONDS });
  const recovery = recoverStore({ ...options, damage, onStep });
  acquit(options.paths);
  onRecovered?.(recovery);
}
