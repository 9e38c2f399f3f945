import { expect, test } from 'vitest';
import { startProgress } from '../../program/progress.ts';

/** A screen of its own and a clock that is set by hand. */
function screen(shape: { isTTY?: boolean; columns?: number; total?: number }) {
  const drawn: string[] = [];
  const clock = { nowMs: 1000 };
  const { total, ...terminal } = shape;
  const progress = startProgress({
    stream: { ...terminal, write: (text: string) => drawn.push(text) },
    label: 'verify',
    unit: 'entries',
    ...(total === undefined ? {} : { total }),
    nowMs: () => clock.nowMs,
  });
  return { drawn, clock, progress };
}

test('draws how far, how fast and how long still', () => {
  const { drawn, clock, progress } = screen({ isTTY: true, columns: 130, total: 41_999 });
  clock.nowMs += 500;
  progress.update(18_900);
  expect(drawn).toEqual(['\rverify [#########           ] 45 % 18,900 of 41,999 entries, 37,800/s, 0:01 left\x1b[K']);
});

test('without a total counts', () => {
  const { drawn, clock, progress } = screen({ isTTY: true });
  clock.nowMs += 2000;
  progress.update(5000);
  expect(drawn).toEqual(['\rverify 5,000 entries, 2,500/s\x1b[K']);
});

test('draws at most ten times a second, and always the last', () => {
  const { drawn, clock, progress } = screen({ isTTY: true, columns: 130, total: 1000 });
  for (let done = 1; done <= 1000; done++) {
    clock.nowMs += 1;
    progress.update(done);
  }
  expect(drawn).toHaveLength(11);
  expect(drawn.at(-1)).toContain('] 100 % 1,000 of 1,000 entries, 1,000/s\x1b');
});

test('a long time is told in hours', () => {
  const { drawn, clock, progress } = screen({ isTTY: true, columns: 130, total: 7322 });
  clock.nowMs += 1000;
  progress.update(1);
  expect(drawn[0]).toContain(', 1/s, 2:02:01 left');
});

test('fits the terminal and leaves the last column free', () => {
  const { drawn, progress } = screen({ isTTY: true, columns: 20, total: 10 });
  progress.update(5);
  expect(drawn).toEqual(['\rverify [########## \x1b[K']);
});

test('a terminal of no columns, as serial consoles say they are, is drawn on as one of 80', () => {
  const { drawn, progress } = screen({ isTTY: true, columns: 0, total: 1_000_000_000_000 });
  progress.update(500_000_000_000);
  expect(drawn).toEqual(['\rverify [##########          ] 50 % 500,000,000,000 of 1,000,000,000,000 entries\x1b[K']);
  expect(drawn[0]?.slice(1, -3)).toHaveLength(79);
});

test('a terminal of one column has no room for anything', () => {
  const { drawn, progress } = screen({ isTTY: true, columns: 1, total: 10 });
  progress.update(5);
  expect(drawn).toEqual(['\r\x1b[K']);
});

test.each([
  ['nothing to do', 0, 0, '] 100 % 0 of 0 entries'],
  ['more than was expected', 10, 12, '] 100 % 12 of 10 entries'],
  ['no time passed', 10, 5, '] 50 % 5 of 10 entries, 0/s'],
])('%s', (_name, total, done, line) => {
  const { drawn, progress } = screen({ isTTY: true, columns: 130, total });
  progress.update(done);
  expect(drawn[0]).toContain(line);
});

test('end wipes the line, if there is one', () => {
  const { drawn, progress } = screen({ isTTY: true });
  progress.end();
  expect(drawn).toEqual([]);
  progress.update(1);
  progress.end();
  expect(drawn.at(-1)).toBe('\r\x1b[K');
});

test.each([{ isTTY: false }, {}])('writes nothing where standard error is no terminal: %j', (terminal) => {
  const { drawn, progress } = screen({ ...terminal, total: 1 });
  progress.update(1);
  progress.end();
  expect(drawn).toEqual([]);
});
