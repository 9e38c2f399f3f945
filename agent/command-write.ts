import type { Command } from 'commander';
import { createHash } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { printResult } from '../program/command.ts';
import { EXIT } from '../program/failure.ts';
import { native } from '../program/native.ts';
import { createNotifier, type StartNotifier } from '../program/notify.ts';
import { startProgress } from '../program/progress.ts';
import { TlogError } from '../tlog/error.ts';
import { appendLines } from './append.ts';
import { startCaptures } from './captures.ts';
import { Clock } from './clock.ts';
import type { AgentConfig } from './config.ts';
import { loadConfig, openWriter, type Context } from './context.ts';
import { createLogger } from '../program/logger.ts';
import { plural } from '../program/plural.ts';
import { gather } from './known.ts';
import { Pulse } from './live.ts';
import { reportOf } from './report.ts';
import { freeBytes, makeRoom, usageOf, type RetentionLimits } from './retention.ts';
import { run } from './run.ts';
import { uplink } from './uplink.ts';
import { uplinkOptions } from './uplink-config.ts';
import { version } from '../program/version.ts';
import { writtenBytes } from './wear.ts';
import type { Writer } from './writer.ts';

/** Far shorter than any step. */
const EXTEND_INTERVAL_MS = 5000;

export async function runService(_: object, command: Command, context: Context): Promise<void> {
  const { nowMs } = context;
  const { values, effective } = loadConfig(command, context);
  const logger = createLogger(context.terminal.stderr, values.log.level, context.env['JOURNAL_STREAM']);
  const stalled = new AbortController();
  const signal = AbortSignal.any([context.stopSignal(), stalled.signal]);
  const clock = new Clock();
  clock.checkSynchronised();
  const notifier = createNotifier(context.env, (error) => {
    logger.warn({ reason: error.message }, 'systemd could not be told');
  });
  const writer = openWriter(values, clock, (text) => logger.warn(text), extendEach(notifier, nowMs));
  const pulse = new Pulse({
    clock,
    version,
    hasUplink: values.uplink.url !== '',
    hasMqtt: values.mqtt.url !== '',
    // Of the store: while nothing can be written the log can't be opened again, and this is asked all the same.
    size: () => writer.store.rows.size(writer.row.number),
    writtenBytes,
    nowMs,
  });
  const status = (): unknown => reportOf(gather(native, values, writer.store.rows, pulse.read(), clock.read().time / 1e6));
  try {
    const delivery = uplinkOptions(values, writer);
    await run({
      writer,
      clock,
      logger,
      signal,
      sealIntervalMs: values.seal.interval_s * 1000,
      heartbeatIntervalMs: values.heartbeat.interval_s * 1000,
      retention: retentionOf(values),
      freeBytes: () => freeBytes(values.store.directory),
      startCaptures: (onFatal) =>
        startCaptures(
          {
            suite: native,
            config: values,
            writer,
            clock,
            logger,
            pulse,
            status: () => orEnd(status, writer, onFatal),
            nowMs,
            random: Math.random,
          },
          onFatal,
        ),
      deliver: async () => {
        if (delivery === undefined) return;
        const end = await uplink({ ...delivery, connection: pulse.uplink, logger, signal, nowMs, random: Math.random });
        if (end !== 'stalled') return;
        logger.error('uplink: no receipt came for uplink.give_up_s; ending, so that whoever supervises this starts it anew');
        context.terminal.exitCode = EXIT.tryLater;
        stalled.abort('stalled');
      },
      notifier,
      configHash: createHash('sha256').update(JSON.stringify(effective())).digest('hex'),
    });
  } catch (error) {
    throw writer.endWith(error);
  } finally {
    writer.close();
  }
}

/** Who asks is told that the agent failed; where it is the store that is damaged, the agent ends, so that the next start mends it. */
function orEnd<T>(work: () => T, writer: Writer, onFatal: (error: unknown) => void): T {
  try {
    return work();
  } catch (error) {
    // Keys and settings are read too, which no look at the store would find.
    if (!(error instanceof TlogError) && writer.damageIn(error) !== undefined) setImmediate(onFatal, error);
    throw error;
  }
}

/** Nobody looks again in a few seconds, as in the service, and a batch may be more than what one look makes room for. */
function makeAllRoom(writer: Writer, values: AgentConfig, clock: Clock): void {
  const free = (): number => freeBytes(values.store.directory);
  const used = (): number => usageOf(writer.store.rows, free()).usedBytes;
  for (let [before, now] = [Infinity, used()]; now < before; [before, now] = [now, used()]) {
    writer.isFull = makeRoom(native, writer, retentionOf(values), clock.read().time / 1e6, free()) === 'full';
    if (!writer.isFull) return;
  }
}

function retentionOf({ store }: AgentConfig): RetentionLimits {
  return {
    retentionSeconds: store.retention_days * 86_400,
    quotaBytes: store.quota_bytes,
    freeFloorBytes: store.free_floor_bytes,
    whenFull: store.when_full,
  };
}

/** Tells systemd that the start takes longer, not more often than it has to be told. */
function extendEach(notifier: StartNotifier, nowMs: () => number): (seconds: number) => void {
  let due = -Infinity;
  return (seconds) => {
    const now = nowMs();
    if (now < due) return;
    due = now + EXTEND_INTERVAL_MS;
    notifier.extend(seconds);
  };
}

export async function append(
  options: { topic?: string; ndjson?: true; batch: number },
  command: Command,
  context: Context,
): Promise<void> {
  const { terminal, stdin, nowMs } = context;
  const { values } = loadConfig(command, context);
  const clock = new Clock();
  clock.checkSynchronised();
  const writer = openWriter(values, clock, (text) => terminal.stderr.write(`tallystick-agent: ${text}\n`));
  const input = fstatSync(stdin.fd);
  const sized = input.isFile() ? { total: input.size, unit: 'bytes' } : { unit: 'messages' };
  const progress = startProgress({ stream: terminal.stderr, label: 'append', ...sized, nowMs });
  const first = writer.log.size;
  try {
    const count = await appendLines(stdin, {
      suite: native,
      topic: options.topic,
      isJson: options.ndjson === true || options.topic === undefined,
      batchLines: options.batch,
      maxPayloadBytes: values.capture.max_payload_bytes,
      read: () => clock.read(),
      append: (messages) => {
        // Before: what fails after the commit would say that these messages were not recorded.
        makeAllRoom(writer, values, clock);
        return writer.append(messages);
      },
      onProgress: (bytes, messages) => {
        progress.update(input.isFile() ? Math.min(bytes, input.size) : messages);
      },
    });
    writer.log.seal();
    makeAllRoom(writer, values, clock);
    progress.end();
    const last = writer.log.size - 1;
    const range = count === 0 ? '' : first === last ? `, entry ${first}` : `, entries ${first} to ${last}`;
    printResult(terminal, command, {
      json: { origin: writer.row.origin, first, count, size: writer.log.size },
      text: `${count.toLocaleString('en-US')} ${plural(count, 'message')} recorded and sealed in ${writer.row.origin}${range}`,
    });
  } catch (error) {
    throw writer.endWith(error);
  } finally {
    progress.end();
    writer.close();
  }
}
