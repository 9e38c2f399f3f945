import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { newClone, processesOf, type Run } from './clone.ts';

const PATIENCE_MS = 120_000;

function expectGone(run: Run): void {
  expect(run.folder()).not.toBe('');
  expect(existsSync(run.folder())).toBe(false);
  expect(processesOf(run.folder())).toEqual([]);
}

describe('a run that ends by itself', { timeout: PATIENCE_MS }, () => {
  test('tells its story, accounts for every message and exits 0', async () => {
    const run = newClone().start('--for', '6s', '--seed', '7');
    expect(await run.ended(), run.said()).toBe(0);
    expect(run.said()).toMatch(/recorded [1-9][0-9]* more, receipted none of them/);
    expect(run.said()).toMatch(/has caught up: receipted [1-9]/);
    const [, changed] = /a forger +entry ([0-9]+), plant\//.exec(run.said()) ?? [];
    expect(run.said()).toContain(`TAMPERED: payload: entry ${changed}: `);
    const [, sent, mqtt, http] = /sent ([0-9]+) messages: ([0-9]+) by MQTT, ([0-9]+) by HTTP/.exec(run.said()) ?? [];
    expect(Number(mqtt)).toBeGreaterThan(0);
    expect(Number(http)).toBeGreaterThan(0);
    expect(run.said()).toContain(`acknowledged ${sent}, recorded`);
    expect(run.said()).toContain(`each of the ${sent} is in the collector's export`);
    expect(run.said()).not.toContain('\x1b');
    expectGone(run);
  });

  test('replays a file, the source text of its payloads as it is', async () => {
    const clone = newClone();
    const file = join(clone.folder, 'messages.jsonl');
    const lines = Array.from(
      { length: 40 },
      (_, i) => `{"topic":"office/hall é/t${i % 3}","payload":{"value":${i}.50, "x":[1,2]}}`,
    );
    writeFileSync(file, `${lines.join('\n')}\n`);
    const run = clone.start('--for', '5s', '--replay', file);
    expect(await run.ended(), run.said()).toBe(0);
    expect(run.said()).toMatch(/was \{"value":[0-9]+\.50, "x":\[1,2\]\}/);
    expectGone(run);
  });

  test('exits 1 if the agent acknowledges a message and records another', async () => {
    const clone = newClone();
    // The agent as it is, but for one message in so many.
    clone.meddle(
      'tallystick-agent.js',
      /writer\.append\(messages\)/,
      'writer.append(messages.map((m) => Buffer.from(m.stem).includes("/strokes") ? { ...m, payload: Buffer.from("lie") } : m))',
    );
    const run = clone.start('--for', '5s');
    expect(await run.ended(), run.said()).toBe(1);
    expect(run.said()).toMatch(/[1-9][0-9]* acknowledged messages are not in the collector's export as they were sent/);
    expectGone(run);
  });

  test('exits 1 if the agent dies', async () => {
    const run = newClone().start('--for', '30s');
    await run.hears(/machines +50 messages a second/);
    const agent = processesOf(run.folder()).find((line) => line.includes('tallystick-agent.js')) ?? '';
    process.kill(Number.parseInt(agent, 10), 'SIGKILL');
    expect(await run.ended(), run.said()).toBe(1);
    expect(run.said()).toContain('tallystick-agent ended by itself (SIGKILL)');
    expectGone(run);
  });
});

describe('a run without end', { timeout: PATIENCE_MS }, () => {
  test('prints commands that work as they are printed, until Ctrl-C', async () => {
    const clone = newClone();
    const run = clone.start();
    await run.hears(/--trust \S+\n\n/);
    const commands = run.said().match(/^ {2}node dist\/\S+ .*$/gm) ?? [];
    expect(commands.map((line) => /dist\/(\S+)\.js/.exec(line)?.[1])).toEqual([
      ...Array.from({ length: 3 }, () => 'tallystick-agent'),
      ...Array.from({ length: 3 }, () => 'tallystick-collector'),
      'tallystick-audit',
    ]);
    for (const command of commands) {
      const [program = '', ...args] = command.trim().split(' ');
      if (args.includes('--follow')) {
        const following = spawn(program, args, { cwd: clone.folder, stdio: ['ignore', 'pipe', 'inherit'] });
        onTestFinished(() => {
          following.kill('SIGKILL');
        });
        const ended = once(following, 'exit');
        let followed = '';
        following.stdout.setEncoding('utf8').on('data', (text: string) => (followed += text));
        await vi.waitFor(() => {
          expect(followed).toContain('plant/');
        }, 30_000);
        following.kill('SIGINT');
        expect(await ended).toEqual([0, null]);
      } else {
        const printed = execFileSync(program, args, { cwd: clone.folder, encoding: 'utf8' });
        expect(printed).toMatch(args.includes('evidence') ? /INTACT[^]*receipt/ : /\S/);
      }
    }
    run.child.kill('SIGINT');
    expect(await run.ended(), run.said()).toBe(130);
    expectGone(run);
  });
});

describe('Ctrl-C ends it', { timeout: PATIENCE_MS }, () => {
  test.each([
    ['as it begins', /until it ends/],
    ['while services start', /gateway +its own broker runs/],
    ['while the uplink is cut', /uplink +cut/],
  ])('%s', async (_, moment) => {
    const run = newClone().start();
    await run.hears(moment);
    run.child.kill('SIGINT');
    expect(await run.ended(), run.said()).toBe(130);
    expectGone(run);
  });
});

describe('the command line', { timeout: PATIENCE_MS }, () => {
  test('is refused with what was expected, and help tells it', () => {
    const clone = newClone();
    const run = (...args: string[]): { status: number | null; stderr: string; stdout: string } =>
      spawnSync(process.execPath, ['dist/demo.js', ...args], { cwd: clone.folder, encoding: 'utf8' });
    for (const [args, expected] of [
      [['--for', '2s'], '--for: expected a time from 5s on'],
      [['--for', '20'], '--for: expected a time from 5s on'],
      [['--seed', '-1'], '--seed'],
      [['--seed', 'x'], '--seed: expected a number from 0'],
      [['--fro', '20s'], "Unknown option '--fro'"],
    ] as const) {
      const { status, stderr } = run(...args);
      expect(status).toBe(2);
      expect(stderr).toContain(expected);
    }
    expect(run('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('--replay FILE') as string });
  });

  test('a line of a file that is no message is named, and nothing is started', async () => {
    const clone = newClone();
    const file = join(clone.folder, 'messages.jsonl');
    writeFileSync(file, '{"topic":"a","payload":1}\n{"topic":"a/#","payload":1}\n');
    const run = clone.start('--replay', file);
    expect(await run.ended()).toBe(2);
    expect(run.said()).toMatch(/^demo: [^\n]*messages\.jsonl:2: topic: expected one that could be published, [^\n]*\n$/);
  });

  test('a file that can not be read is told with the option that names it, and nothing is started', async () => {
    const clone = newClone();
    for (const [path, got] of [
      [join(clone.folder, 'none'), 'ENOENT'],
      [clone.folder, 'EISDIR'],
    ] as const) {
      const run = clone.start('--replay', path);
      expect(await run.ended()).toBe(2);
      expect(run.said()).toBe(`demo: --replay: expected a file of messages that can be read, got ${got} for ${path}\n`);
    }
  });
});
