import { pino, type Logger } from 'pino';
import type { Writable } from 'node:stream';
import { visibleLines } from './visible.ts';

/** syslog(3) priorities, by which journald sorts lines that begin with `<N>`. */
const PRIORITIES: Readonly<Record<string, number>> = { fatal: 2, error: 3, warn: 4, info: 6, debug: 7, trace: 7 };

/**
 * One JSON object a line, to standard error; under journald each with its priority before it. JSON escapes only part of what can steer
 * a terminal, and much of what is logged was said by devices and brokers.
 */
export function createLogger(stderr: Writable, level: string, journalStream: string | undefined): Logger {
  const isJournal = journalStream !== undefined;
  const destination = {
    write: (line: string): void => {
      const { level: name } = isJournal ? (JSON.parse(line) as { level: string }) : { level: '' };
      stderr.write(visibleLines(isJournal ? `<${PRIORITIES[name] ?? 6}>${line}` : line));
    },
  };
  return pino(
    { level, base: null, formatters: { level: (label) => ({ level: label }) }, timestamp: pino.stdTimeFunctions.isoTime },
    destination,
  );
}
