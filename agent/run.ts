import type { Logger } from 'pino';
import { native } from '../program/native.ts';
import { version } from '../program/version.ts';
import type { Clock } from './clock.ts';
import { makeRoom, type RetentionLimits, type Room } from './retention.ts';
import type { Writer } from './writer.ts';

/** How often the clock is compared and asked whether it is synchronised. */
const CLOCK_INTERVAL_MS = 10_000;
const ROOM_INTERVAL_MS = 5000;

export interface RunOptions {
  readonly writer: Writer;
  readonly clock: Clock;
  readonly sealIntervalMs: number;
  readonly heartbeatIntervalMs: number;
  readonly retention: RetentionLimits;
  /** Bytes free on the file system of the store. */
  readonly freeBytes: () => number;
  /** Hex SHA-256 of the configuration in force. */
  readonly configHash: string;
  readonly logger: Logger;
  /** Aborted for a clean stop; the reason says by what. */
  readonly signal: AbortSignal;
}

/**
 * The agent's life: tells of its start and stop, of the clock and, when nothing else happens, that it is alive; seals in time.
 * Resolves after a clean stop, with everything sealed. Rejects on the first error: what can't be recorded must not go unnoticed.
 */
export async function run({ writer, clock, signal, logger, ...options }: RunOptions): Promise<void> {
  const tell: Writer['tell'] = (topic, payload) => writer.tell(topic, payload);
  tell('start', { version, size: writer.log.size });
  tell('config', { sha256: options.configHash });
  logger.info({ origin: writer.row.origin, size: writer.log.size }, 'started');
  const watch = (): void => {
    const step = clock.step();
    if (step !== undefined) tell('clock', { step_ms: step.byMs });
    if (clock.checkSynchronised()) tell('clock', { synchronised: clock.read().clock === 1 });
  };
  let room: Room = 'ample';
  const look = (): void => {
    const before = room;
    room = makeRoom(native, writer, options.retention, clock.read().time / 1e6, options.freeBytes());
    writer.isFull = room === 'full';
    if (room !== before) tellRoom(logger, room);
  };
  watch();
  look();
  await Promise.race([
    repeat(CLOCK_INTERVAL_MS, signal, watch),
    repeat(options.heartbeatIntervalMs, signal, () => {
      tell('heartbeat', { size: writer.log.size, receipted: writer.receipted });
    }),
    repeat(ROOM_INTERVAL_MS, signal, look),
    repeat(options.sealIntervalMs, signal, () => {
      writer.log.seal();
    }),
  ]);
  tell('stop', { reason: String(signal.reason) });
  writer.log.seal();
  logger.info({ origin: writer.row.origin, size: writer.log.size }, 'stopped');
}

function tellRoom(logger: Logger, room: Room): void {
  if (room === 'ample') logger.info('store: there is room again');
  else if (room === 'tight')
    logger.warn('store: nearly full: 80 % of the quota is used, or free space is low; nothing is refused yet');
  else logger.error('store: full: messages are refused until the collector has some, or store.quota_bytes is raised');
}

/** Calls `work` at every interval until the signal; rejects with what it throws. */
function repeat(intervalMs: number, signal: AbortSignal, work: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setInterval(() => {
      try {
        work();
      } catch (error) {
        clearInterval(timer);
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    }, intervalMs);
    const stop = (): void => {
      clearInterval(timer);
      resolve();
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop);
  });
}
