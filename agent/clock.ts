import { existsSync } from 'node:fs';
import { spawnSync } from 'node:child_process';

/** What an entry says of when it was heard. */
export interface Reading {
  /** Microseconds since 1970-01-01T00:00:00Z, in 0..2^53−1 whatever the clock shows. */
  readonly time: number;
  /** 1: known to be synchronised. */
  readonly clock: 0 | 1;
}

export interface Step {
  /** Milliseconds that the wall clock moved beyond what really passed; negative: back. */
  readonly byMs: number;
  /** Microseconds, by the clock after it. */
  readonly time: number;
}

/** Touched by systemd-timesyncd once it has set the clock; it stays there when the clock runs freely again, until that stops. */
const TIMESYNC_FILE = '/run/systemd/timesync/synchronized';
/** The least that counts as a step. */
const STEP_MS = 1000;
const MOMENT_MS = 100;

/** The wall clock, and whether it can be believed. */
export class Clock {
  readonly #timesyncFile: string;
  #synchronised: 0 | 1 = 0;
  #last = readBoth();
  #lastStep: Step | undefined;

  constructor(timesyncFile = TIMESYNC_FILE) {
    this.#timesyncFile = timesyncFile;
  }

  /** The newest that {@link step} found. */
  get lastStep(): Step | undefined {
    return this.#lastStep;
  }

  read(): Reading {
    return { time: Math.min(Math.max(Math.round(Date.now() * 1000), 0), Number.MAX_SAFE_INTEGER), clock: this.#synchronised };
  }

  /** Asks the system whether its clock is synchronised; true if the answer changed. Blocks for some milliseconds. */
  checkSynchronised(): boolean {
    const before = this.#synchronised;
    this.#synchronised = isSynchronised(this.#timesyncFile) ? 1 : 0;
    return before !== this.#synchronised;
  }

  /** Compares the wall clock with a clock that can't be set, since the last call. */
  step(): Step | undefined {
    const before = this.#last;
    this.#last = readBoth();
    const byMs = Math.round(this.#last.wallMs - before.wallMs - (this.#last.steadyMs - before.steadyMs));
    if (Math.abs(byMs) <= STEP_MS) return undefined;
    this.#lastStep = { byMs, time: this.read().time };
    return this.#lastStep;
  }
}

/** Both clocks at one moment: where the process had to wait between the two, that would be a step and a step back. */
function readBoth(): { readonly wallMs: number; readonly steadyMs: number } {
  for (;;) {
    const before = performance.now();
    const wallMs = Date.now();
    const steadyMs = performance.now();
    if (steadyMs - before < MOMENT_MS) return { wallMs, steadyMs };
  }
}

/**
 * The kernel's own flag, which every time service sets, is what timedatectl shows. Where that can't be asked the file of one of them
 * has to do; where there is neither, the clock is not known to be synchronised.
 */
function isSynchronised(timesyncFile: string): boolean {
  const { status, stdout } = spawnSync('timedatectl', ['show', '--property=NTPSynchronized', '--value'], {
    encoding: 'utf8',
    timeout: 2000,
  });
  const answer = status === 0 ? stdout.trim() : '';
  return answer === 'yes' || (answer !== 'no' && existsSync(timesyncFile));
}
