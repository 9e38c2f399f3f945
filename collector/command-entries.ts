import type { Command } from 'commander';
import { once } from 'node:events';
import { pause } from '../program/backoff.ts';
import { formatTime } from '../program/clock.ts';
import { isJson } from '../program/command.ts';
import { EXIT, Failure } from '../program/failure.ts';
import { nearest } from '../program/nearest.ts';
import { isTopicFilter, topicMatcher } from '../program/topic-filter.ts';
import { visible } from '../program/visible.ts';
import type { Header } from '../tlog/entry.ts';
import { nowSeconds, parseTime } from './clock.ts';
import { loadConfig, reading, type Context } from './context.ts';
import { formatLine, headerOf, readLine } from './line.ts';
import type { Store } from './store.ts';
import { timeline, watermark, type Range, type Watermark } from './timeline.ts';

const POLL_MS = 500;

interface Options {
  readonly device?: string;
  readonly topic?: string;
  readonly source?: string;
  readonly from?: string;
  readonly to?: string;
  readonly settled?: true;
  readonly follow?: true;
}

/** The merged order of the fleet, a line an entry, as a stream of any length. */
export async function entries(options: Options, command: Command, context: Context): Promise<void> {
  const { terminal } = context;
  const { values } = loadConfig(command, context);
  const wanted = filterOf(options);
  const [from, to] = [timeOf(options.from, '--from') ?? 0, timeOf(options.to, '--to') ?? Infinity];
  const stop = options.follow === true ? context.stopSignal() : undefined;
  const positions = new Map<number, number>();
  await reading(values, async (store) => {
    if (options.device !== undefined) checkDevice(store, options.device);
    do {
      const { ranges, mark } = readRanges(store, values.timeline.heartbeat_s, options.device, from, positions);
      const before = options.settled === true ? Math.min(to, mark.time) : to;
      for (const entry of timeline(store.logs, ranges, before)) {
        positions.set(entry.row.number, entry.index + 1);
        const header = headerOf(entry);
        if (!wanted(header)) continue;
        const line = readLine(entry, header, mark.time);
        const text = isJson(command) ? visible(JSON.stringify(line)) : formatLine(line);
        if (!terminal.stdout.write(`${text}\n`)) await once(terminal.stdout, 'drain');
        if (stop?.aborted === true) return;
      }
      if (stop === undefined) {
        if (!isJson(command)) terminal.stderr.write(`${describe(mark)}\n`);
        return;
      }
      await pause(POLL_MS, stop);
    } while (!stop.aborted);
  });
}

/** A name that no device has is a typing error: an empty list would look like a device without messages. */
function checkDevice({ logs }: Store, device: string): void {
  if (logs.isDevice(device)) return;
  const meant = nearest(
    device,
    logs.all().map((row) => row.device),
  );
  throw new Failure(EXIT.error, `--device: expected a device that was admitted, got ${device}`, {
    hint: meant === undefined ? 'tallystick-collector devices lists them' : `did you mean ${meant}?`,
  });
}

/** What each log has past the position that was printed; sizes and watermark of one moment. */
function readRanges(
  store: Store,
  heartbeatSeconds: number,
  device: string | undefined,
  from: number,
  positions: Map<number, number>,
): { ranges: Range[]; mark: Watermark } {
  return store.snapshot(() => {
    const logs = store.logs.all();
    const ranges = logs
      .filter((row) => device === undefined || row.device === device)
      .map((row) => {
        const start = positions.get(row.number) ?? store.logs.firstAt(row, from);
        positions.set(row.number, start);
        return { row, from: start, to: row.size };
      });
    return { ranges, mark: watermark(logs, store.fleet.newestTimes(), heartbeatSeconds, nowSeconds()) };
  });
}

function filterOf({ topic, source }: Options): (header: Header) => boolean {
  if (topic !== undefined && !isTopicFilter(topic)) {
    throw new Failure(
      EXIT.usage,
      `--topic: expected an MQTT topic filter (+ and # are whole levels, # is the last), got ${topic}`,
    );
  }
  const takes = topic === undefined ? (): boolean => true : topicMatcher(topic);
  return (header) => (source === undefined || header.source === source) && takes(header.topic);
}

function timeOf(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  const time = parseTime(text);
  if (time !== undefined) return time;
  throw new Failure(EXIT.usage, `${option}: expected a time like 2026-11-23T07:31:16Z or a day like 2026-11-23, got ${text}`);
}

function describe({ time, silent }: Watermark): string {
  const names = silent.map(({ device }) => device).join(', ');
  const until =
    time === Infinity ? 'no device was heard lately: nothing more is on its way' : `settled before ${formatTime(time)}`;
  return `${until}${names === '' ? '' : `; silent: ${names}`}`;
}
