import type { Code } from '../tlog/error.ts';

/** What is published to a device, on `tallystick/v1/<device>/<topic>`, with QoS 1, after what it says is committed. */
export interface Answer {
  readonly device: string;
  /** `admission`: an admission or a state note; `receipt`: a receipt. */
  readonly topic: 'admission' | 'receipt';
  readonly bytes: Uint8Array;
  readonly retain: boolean;
}

/** What an operator may want to know; `alarm`: somebody has to look at it. */
export interface Notice {
  readonly level: 'info' | 'warn' | 'alarm';
  readonly event: 'admitted' | 'waiting' | 'extended' | 'refused' | 'fork' | 'behind';
  /** As the topic says, which a broker may or may not have checked. */
  readonly device: string;
  readonly origin?: string;
  readonly code?: Code;
  readonly text: string;
}

/** What came of a message. */
export interface Received {
  readonly answers: readonly Answer[];
  readonly notices: readonly Notice[];
}

/** What is due without a message. */
export interface Due extends Received {
  /** A new checkpoint of the fleet log, to be published (retained) on `tallystick/v1/fleet/checkpoint`. */
  readonly fleetCheckpoint: Uint8Array | undefined;
  /** Why the fleet log could not go on; undefined where it did, or has stopped. What else is due leaves all the same. */
  readonly error: unknown;
}
