import type { Logger } from 'pino';
import type { Suite } from '../tlog/suite.ts';
import type { Reading } from './clock.ts';
import type { Group } from './group.ts';

/** Something that hears messages and brings them to the log. It starts when it is made. */
export interface Capture {
  /** Takes nothing more. Resolves once all that was taken is committed and acknowledged; never rejects. */
  stop(): Promise<void>;
  /** Ends its connections, after {@link stop}. */
  close(): Promise<void>;
}

/** All that hear messages, and what their messages wait in. */
export interface Captures {
  readonly all: readonly Capture[];
  /** Stands for the messages that have waited longest for their commit; nothing where none wait. See {@link Group.oldest}. */
  readonly oldest: () => object | undefined;
}

/** What each capture works with. */
export interface CaptureParts {
  readonly suite: Suite;
  readonly group: Group;
  readonly read: () => Reading;
  /** Longer payloads are hashed and not kept. */
  readonly maxPayloadBytes: number;
  readonly logger: Logger;
}
