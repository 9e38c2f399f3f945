import { pino, type Logger } from 'pino';
import { onTestFinished, vi } from 'vitest';
import { MqttCapture, type MqttOptions } from '../../agent/capture-mqtt.ts';
import { Group } from '../../agent/group.ts';
import type { MqttSource } from '../../agent/mqtt-session.ts';
import type { Writer } from '../../agent/writer.ts';
import { native } from '../../program/native.ts';
import { QuietLog } from '../../program/quiet-log.ts';
import { newDevice, ticking, type Device } from './device.ts';

/** One line of the agent's log. */
export interface Line {
  readonly level: string;
  readonly msg: string;
  readonly reason?: string;
  readonly version?: number;
  readonly sessionPresent?: boolean;
}

/** A message as it stands in the log. */
export interface Recorded {
  readonly topic: string;
  readonly payload: string | null;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface Capturing {
  readonly device: Device;
  readonly writer: Writer;
  readonly group: Group;
  readonly capture: MqttCapture;
  readonly lines: Line[];
  readonly refused: string[];
  readonly recorded: () => Recorded[];
  /** Resolves once so many entries are there. */
  readonly count: (entries: number) => Promise<Recorded[]>;
  /** Resolves once the log has so many lines of this. */
  readonly said: (msg: string, count?: number) => Promise<Line>;
  /** A clean stop. */
  readonly stop: () => Promise<void>;
}

export interface CapturingOptions {
  readonly device?: Device;
  readonly source?: Partial<MqttSource>;
  readonly mqtt?: Partial<MqttOptions>;
  readonly maxEntries?: number;
  readonly maxDelayMs?: number;
}

export const WAIT = { timeout: 20_000, interval: 5 };

export function logTo(lines: Line[]): Logger {
  const stream = { write: (line: string): void => void lines.push(JSON.parse(line) as Line) };
  return pino({ base: null, formatters: { level: (level) => ({ level }) } }, stream);
}

/** Leaves no line out: a day passes between any two. */
export function unquiet(logger: Logger): QuietLog {
  let ms = 0;
  return new QuietLog(logger, () => (ms += 86_400_000));
}

/** Captures from a broker into a new device, until the test ends. Reconnects at once. */
export function startCapturing(url: string, options: CapturingOptions = {}): Capturing {
  const device = options.device ?? newDevice();
  const writer = device.open();
  const maxDelayMs = options.maxDelayMs ?? 5;
  const group = new Group({ append: (all) => writer.append(all), maxEntries: options.maxEntries ?? 64, maxDelayMs });
  const lines: Line[] = [];
  const refused: string[] = [];
  const capture = new MqttCapture({
    suite: native,
    group,
    read: ticking(),
    maxPayloadBytes: 65_536,
    source: {
      name: 'plant',
      url,
      filters: ['#'],
      clientId: 'tallystick-pump-7',
      keepAliveSeconds: 30,
      username: undefined,
      password: undefined,
      tls: { ca: undefined, cert: undefined, key: undefined },
      ...options.source,
    },
    commitDelayMs: maxDelayMs,
    nowMs: () => performance.now(),
    quiet: unquiet(logTo(lines)),
    random: () => 0,
    onRefused: (reason) => {
      refused.push(reason);
    },
    ...options.mqtt,
  });
  let isOver = false;
  const stop = async (): Promise<void> => {
    if (isOver) return;
    isOver = true;
    await capture.stop();
    await capture.close();
    writer.close();
  };
  onTestFinished(stop);
  const recorded = (): Recorded[] =>
    device.entries().map(({ header, payload }) => ({
      topic: header.topic,
      payload: payload === null ? null : Buffer.from(payload).toString(),
      attributes: Object.fromEntries(header.attributes),
    }));
  const count = async (entries: number): Promise<Recorded[]> => {
    await vi.waitFor(() => {
      const { size } = writer.log;
      if (size < entries) throw new Error(`expected ${entries} entries, got ${size}; the log says ${JSON.stringify(lines)}`);
    }, WAIT);
    return recorded();
  };
  const said = (msg: string, times = 1): Promise<Line> =>
    vi.waitFor(() => {
      const found = lines.filter((line) => line.msg === msg)[times - 1];
      if (found === undefined) throw new Error(`expected "${msg}" ${times} times, got ${JSON.stringify(lines)}`);
      return found;
    }, WAIT);
  return { device, writer, group, capture, lines, refused, recorded, count, said, stop };
}
