import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import { Reader } from '../../tlog/cbor.ts';
import { AGENT_SOURCE, readHeader } from '../../tlog/entry.ts';
import type { AgentProcess } from '../support/agent-process.ts';

const LIBRARY = ['x86_64-linux-gnu', 'aarch64-linux-gnu']
  .map((machine) => `/usr/lib/${machine}/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path));

/** Whether programs can be run under another clock here. */
export const HAS_CLOCKS = LIBRARY !== undefined;

/** A clock of one's own, and a `timedatectl` that says of it what it is told to: the real one speaks of this machine's. */
export interface FakeClock {
  /** By so many seconds ahead of the real one. */
  set(offsetSeconds: number): void;
  setSynchronised(answer: 'yes' | 'no'): void;
  /** Runs `work`, and what it starts, under this clock. */
  under<T>(work: () => Promise<T>): Promise<T>;
}

export function newClock(): FakeClock {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-clock-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const [time, answer, command] = [join(folder, 'time'), join(folder, 'answer'), join(folder, 'timedatectl')];
  writeFileSync(command, `#!/bin/sh\nexec cat ${answer}\n`);
  chmodSync(command, 0o755);
  const env = {
    PATH: `${folder}:${process.env['PATH'] ?? ''}`,
    LD_PRELOAD: LIBRARY ?? '',
    FAKETIME_TIMESTAMP_FILE: time,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  const clock: FakeClock = {
    set: (offsetSeconds) => {
      writeFileSync(time, `${offsetSeconds >= 0 ? '+' : ''}${offsetSeconds}s\n`);
    },
    setSynchronised: (said) => {
      writeFileSync(answer, `${said}\n`);
    },
    under: async (work) => {
      for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
      try {
        return await work();
      } finally {
        vi.unstubAllEnvs();
      }
    },
  };
  clock.setSynchronised('no');
  clock.set(0);
  return clock;
}

/** What the agent itself told of its clock. */
export function told(agent: AgentProcess): Record<string, unknown>[] {
  const all = agent.read((rows) => rows.logs().flatMap(({ number }) => [...rows.entries(number, 0, rows.size(number))]));
  return all
    .map(({ stem, payload }) => ({ ...readHeader(new Reader(stem)), payload }))
    .filter(({ source, topic }) => source === AGENT_SOURCE && topic === 'clock')
    .map(({ payload }) => JSON.parse(Buffer.from(payload ?? '').toString()) as Record<string, unknown>);
}
