import type { Inflate } from '../tlog/segment.ts';
import type { Suite } from '../tlog/suite.ts';
import type { Keys } from './keys.ts';
import type { Store } from './store.ts';

/** How much is kept of what nobody vouches for. */
export interface Limits {
  /** Enrolments that wait for an operator, of all devices … */
  readonly waiting: number;
  /** … and of one. */
  readonly waitingOfDevice: number;
  /** Segments of a log that came before those they follow. */
  readonly earlySegments: number;
  /** Refused messages of one device, kind and code. */
  readonly samples: number;
  /** What one device may add to the store a day; 0: as much as it likes. */
  readonly deviceBytesADay: number;
}

/** What every decision is made with. */
export interface Parts {
  readonly suite: Suite;
  readonly inflate: Inflate;
  readonly store: Store;
  readonly keys: Keys;
  /** Path of the newest checkpoint of the fleet log beside the database (checkpoint-file.ts). */
  readonly checkpointFile: string;
  readonly limits: Limits;
}
