import type { Logger } from 'pino';
import { native } from '../program/native.ts';
import { EXIT, Failure } from '../program/failure.ts';
import type { Notifier } from '../program/notify.ts';
import { version } from '../program/version.ts';
import type { Captures } from './capture.ts';
import type { Clock } from './clock.ts';
import { makeRoom, type RetentionLimits, type Room } from './retention.ts';
import type { Writer } from './writer.ts';

/** How often the system is asked whether its clock is synchronised. */
const CLOCK_INTERVAL_MS = 10_000;
/** How often it is looked whether somebody set the clock: what was set back meanwhile is not seen. */
const STEP_INTERVAL_MS = 1000;
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
  /** Starts to hear messages; `onFatal` is told of what nobody can go on after. */
  readonly startCaptures: (onFatal: (error: unknown) => void) => Promise<Captures>;
  /** Delivers to the collector until the signal; rejects only where nobody can go on. */
  readonly deliver: () => Promise<void>;
  readonly notifier: Notifier;
  readonly logger: Logger;
  /** Aborted for a clean stop; the reason says by what. */
  readonly signal: AbortSignal;
}

/**
 * The agent's life: tells of its start and stop, of the clock and, when nothing else happens, that it is alive; hears messages;
 * seals in time. Resolves after a clean stop, with all that was heard committed, acknowledged and sealed. Rejects on the first
 * error, as what can't be recorded must not go unnoticed; a full disk is none: it is told, and all is tried again.
 */
export async function run({ writer, clock, signal, logger, ...options }: RunOptions): Promise<void> {
  const tell: Writer['tell'] = (topic, payload) => writer.tell(topic, payload);
  tell('start', { version, size: writer.log.size });
  tell('config', { sha256: options.configHash });
  // What the clock did is found once, and kept until it could be told: the disk may be full.
  let stepMs = 0;
  const watchSteps = (): void => {
    stepMs += clock.step()?.byMs ?? 0;
    if (stepMs === 0) return;
    tell('clock', { step_ms: stepMs });
    stepMs = 0;
  };
  let told = clock.read().clock;
  const watch = (): void => {
    clock.checkSynchronised();
    const { clock: found } = clock.read();
    if (found === told) return;
    tell('clock', { synchronised: found === 1 });
    told = found;
  };
  let room: Room = 'ample';
  const look = (): void => {
    const before = room;
    room = makeRoom(native, writer, options.retention, clock.read().time / 1e6, options.freeBytes());
    writer.isFull = room === 'full';
    if (room !== before) tellRoom(logger, room);
  };
  watchSteps();
  watch();
  look();
  let onFatal: (error: unknown) => void = () => undefined;
  const fatal = new Promise<never>((_, reject) => (onFatal = reject));
  // It may come before anybody waits for it; who waits hears of it all the same.
  fatal.catch(() => undefined);
  const captures = await options.startCaptures(onFatal);
  const delivered = options.deliver().catch(onFatal);
  const { notifier } = options;
  notifier.ready();
  logger.info({ origin: writer.row.origin, size: writer.log.size }, 'started');
  try {
    await Promise.race([
      fatal,
      repeat(notifier.aliveMs, signal, aliveWhileMoving(notifier, captures.oldest)),
      repeat(STEP_INTERVAL_MS, signal, unlessFull(logger, watchSteps)),
      repeat(CLOCK_INTERVAL_MS, signal, unlessFull(logger, watch)),
      repeat(
        options.heartbeatIntervalMs,
        signal,
        unlessFull(logger, () => {
          tell('heartbeat', { size: writer.log.size, receipted: writer.receipted });
        }),
      ),
      repeat(ROOM_INTERVAL_MS, signal, unlessFull(logger, look)),
      repeat(
        options.sealIntervalMs,
        signal,
        unlessFull(logger, () => {
          writer.log.seal();
        }),
      ),
    ]);
    notifier.stopping();
    await Promise.race([fatal, Promise.all([delivered, ...captures.all.map((capture) => capture.stop())])]);
    watchSteps();
    tell('stop', { reason: String(signal.reason) });
    writer.log.seal();
  } finally {
    await Promise.all(captures.all.map((capture) => capture.close()));
  }
  logger.info({ origin: writer.row.origin, size: writer.log.size }, 'stopped');
}

/**
 * Commits and seals are synchronous: while this is called none of them hangs, and what any of them threw has ended the race. What
 * can be is that messages wait for a commit that nobody makes: then it says nothing, and systemd starts the agent again. From one
 * call to the next is far longer than the longest wait that can be configured (`commit.max_delay_ms`).
 */
function aliveWhileMoving(notifier: Notifier, oldest: Captures['oldest']): () => void {
  let before: object | undefined;
  return () => {
    const now = oldest();
    if (now === undefined || now !== before) notifier.alive();
    before = now;
  };
}

function unlessFull(logger: Logger, work: () => void): () => void {
  return () => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof Failure) || error.exitCode !== EXIT.tryLater) throw error;
      logger.error({ reason: error.message }, 'store: could not write, trying again');
    }
  };
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
