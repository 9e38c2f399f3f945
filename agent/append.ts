import { EXIT, Failure } from '../program/failure.ts';
import { plural } from '../program/plural.ts';
import { decodeUtf8 } from '../tlog/bytes.ts';
import type { Suite } from '../tlog/suite.ts';
import type { Reading } from './clock.ts';
import type { Appended, Message } from './log.ts';
import { toMessage, type Heard } from './message.ts';
import { parseJsonMessage } from './ndjson.ts';

/** The source of messages that `append` records. */
const SOURCE = 'append';
/** A longer line is a mistake: the rest of a binary file, most likely. */
const MAX_LINE_BYTES = 16 * 2 ** 20;
const LF = 10;
const CR = 13;

export interface AppendOptions {
  readonly suite: Suite;
  /** Lines are payloads of this topic; undefined: lines are NDJSON. */
  readonly topic: string | undefined;
  /** Lines of NDJSON that have no topic get this one. */
  readonly isJson: boolean;
  /** Lines of one commit. */
  readonly batchLines: number;
  readonly maxPayloadBytes: number;
  readonly read: () => Reading;
  readonly append: (messages: readonly Message[]) => Appended;
  /** Told how much of the input is recorded. */
  readonly onProgress: (bytes: number, messages: number) => void;
}

/**
 * Records one message a line, a batch of lines a commit. A bad line refuses its batch: `Failure` with the number of the line, and
 * what was recorded before it, which stays. Resolves to the number of messages recorded. An empty line is no message.
 */
export async function appendLines(input: AsyncIterable<Uint8Array>, options: AppendOptions): Promise<number> {
  let batch: Message[] = [];
  let firstLine = 1;
  let line = 0;
  let bytes = 0;
  let recorded = 0;
  const commit = (): void => {
    try {
      if (batch.length > 0) recorded += options.append(batch).count;
    } catch (error) {
      throw interrupt(error, line, firstLine, recorded);
    }
    batch = [];
    firstLine = line + 1;
    options.onProgress(bytes, recorded);
  };
  for await (const text of lines(input)) {
    line += 1;
    bytes += text.length + 1;
    try {
      if (text.length > MAX_LINE_BYTES) throw new Error(`expected at most ${MAX_LINE_BYTES} bytes, got more`);
      if (text.length > 0) batch.push(toMessage(heard(text, options), options.read(), options.maxPayloadBytes));
    } catch (error) {
      throw refuse(error, line, firstLine, recorded);
    }
    if (line - firstLine + 1 >= options.batchLines) commit();
  }
  commit();
  return recorded;
}

function heard(line: Uint8Array, { topic, isJson }: AppendOptions): Heard {
  if (!isJson) return { source: SOURCE, topic: topic ?? '', attributes: [], payload: line };
  const message = parseJsonMessage(decodeUtf8(line));
  const named = message.topic ?? topic;
  if (named === undefined) throw new Error('topic: expected one in the line or by --topic, got none');
  return { ...message, source: SOURCE, topic: named };
}

function refuse(error: unknown, line: number, firstLine: number, recorded: number): Failure {
  const reason = error instanceof Error ? error.message : String(error);
  const others = line > firstLine ? `, and ${linesOf(firstLine, line - 1)} refused with it` : '';
  return new Failure(EXIT.error, `line ${line}: ${reason}${others}; ${messagesBefore(recorded)} recorded`, {
    hint: `mend the line and go on from line ${firstLine}`,
  });
}

/** The outside world stood in the way, such as a full disk: says how far the input is recorded, so that nobody has to guess. */
function interrupt(error: unknown, line: number, firstLine: number, recorded: number): unknown {
  if (!(error instanceof Failure)) return error;
  const done = `${linesOf(firstLine, line)} not recorded; ${messagesBefore(recorded)}`;
  return new Failure(error.exitCode, `${error.message}; ${done}`, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    cause: error,
  });
}

function linesOf(first: number, last: number): string {
  return first === last ? `line ${first} was` : `lines ${first} to ${last} were`;
}

function messagesBefore(recorded: number): string {
  return `the ${recorded} ${plural(recorded, 'message')} before ${plural(recorded, 'is', 'are')}`;
}

/** Splits at LF, a CR before it goes too. A last line without LF counts. Lines over the limit come cut off, but too long. */
async function* lines(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  const keep = (part: Uint8Array): void => {
    if (length <= MAX_LINE_BYTES + 1) parts.push(part);
    length += part.length;
  };
  const take = (): Uint8Array => {
    const whole = parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
    parts = [];
    length = 0;
    return whole.at(-1) === CR ? whole.subarray(0, -1) : whole;
  };
  for await (const chunk of input) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      keep(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    if (start < chunk.length) keep(chunk.subarray(start));
    // One more than the limit may still be a whole line and its CR.
    if (length > MAX_LINE_BYTES + 1) yield take();
  }
  if (length > 0) yield take();
}
