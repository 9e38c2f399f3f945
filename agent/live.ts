import * as v from 'valibot';
import { formatTime } from '../program/clock.ts';
import type { Clock } from './clock.ts';
import { beganAt, Connection, type Clocks } from './connection.ts';

const CONNECTION = v.nullable(
  v.object({
    isUp: v.boolean(),
    since: v.string(),
    reason: v.nullable(v.string()),
    trouble: v.nullable(v.object({ since: v.string(), what: v.string() })),
  }),
);

/** The part of `GET /v1/status` that only the running agent knows, as `tallystick-agent status` reads it. */
export const LIVE = v.object({
  /** RFC 3339 */
  startedAt: v.string(),
  version: v.string(),
  /** Null where none is configured. */
  uplink: CONNECTION,
  mqtt: CONNECTION,
  clock: v.object({
    isSynchronised: v.boolean(),
    /** The newest jump since the start. */
    step: v.nullable(v.object({ at: v.string(), byMs: v.number() })),
  }),
  /** Messages that were not recorded because they can't be, since the start. */
  refused: v.object({ count: v.number(), last: v.nullable(v.object({ at: v.string(), reason: v.string() })) }),
  wear: v.object({
    /** Bytes that this process had the system write to disks since its start; null where the system does not say. */
    bytes: v.nullable(v.number()),
    /** Entries recorded meanwhile, and the seconds that it took. */
    entries: v.number(),
    seconds: v.number(),
  }),
});

export type Live = Readonly<v.InferOutput<typeof LIVE>>;

export interface PulseOptions {
  readonly clock: Clock;
  readonly version: string;
  readonly hasUplink: boolean;
  readonly hasMqtt: boolean;
  /** Entries of the log that grows. */
  readonly size: () => number;
  readonly writtenBytes: () => number | null;
  readonly nowMs: () => number;
}

/** What the running agent knows of itself and keeps nowhere: the parts tell it, `status` asks. */
export class Pulse {
  readonly uplink: Connection;
  readonly mqtt: Connection;
  readonly #options: PulseOptions;
  readonly #clocks: Clocks;
  readonly #start: { readonly ms: number; readonly size: number; readonly bytes: number | null };
  #refused: Live['refused'] = { count: 0, last: null };

  constructor(options: PulseOptions) {
    const { clock, nowMs, size, writtenBytes } = options;
    this.#options = options;
    this.#clocks = { read: () => clock.read(), nowMs };
    this.uplink = new Connection(this.#clocks);
    this.mqtt = new Connection(this.#clocks);
    this.#start = { ms: nowMs(), size: size(), bytes: writtenBytes() };
  }

  refuse(reason: string): void {
    const at = formatTime(this.#options.clock.read().time);
    this.#refused = { count: this.#refused.count + 1, last: { at, reason } };
  }

  read(): Live {
    const { clock, version, hasUplink, hasMqtt, size, writtenBytes, nowMs } = this.#options;
    const { lastStep } = clock;
    const bytes = writtenBytes();
    const { ms, size: before, bytes: written } = this.#start;
    return {
      startedAt: beganAt(this.#clocks, ms),
      version,
      uplink: hasUplink ? this.uplink.state : null,
      mqtt: hasMqtt ? this.mqtt.state : null,
      clock: {
        isSynchronised: clock.read().clock === 1,
        step: lastStep === undefined ? null : { at: formatTime(lastStep.time), byMs: lastStep.byMs },
      },
      refused: this.#refused,
      wear: {
        bytes: bytes === null || written === null ? null : bytes - written,
        // A new generation begins at 0.
        entries: Math.max(0, size() - before),
        seconds: Math.round((nowMs() - ms) / 1000),
      },
    };
  }
}
