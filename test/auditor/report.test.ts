import { describe, expect, test } from 'vitest';
import { formatReports, reportsToJson, verdictOfAll } from '../../auditor/print.ts';
import { Ranges } from '../../auditor/ranges.ts';
import { attempt, exitCodeOf, fail, holds, lack, miss, pass, skip, verdictOf, VERDICTS, worst } from '../../auditor/report.ts';
import type { Check, Report, Sheet, Verdict } from '../../auditor/report.ts';
import { CODES, TlogError } from '../../tlog/error.ts';

function sheet(): Sheet {
  return { checks: [], prefix: '' };
}

function report(checks: readonly Check[], speaksUntil: string | undefined = 'entry 3'): Report {
  return { subject: 'a.tally.json', checks, protectedBy: ['a key'], proves: ['this'], doesNotProve: ['that'], speaksUntil };
}

describe('verdicts', () => {
  test('have this precedence and these exit codes', () => {
    expect(VERDICTS.map((verdict) => [verdict, exitCodeOf(verdict)])).toEqual([
      ['tampered', 3],
      ['unverifiable', 5],
      ['incomplete', 4],
      ['intact', 0],
    ]);
  });

  const pairs = VERDICTS.flatMap((a, i) => VERDICTS.map((b, j): [Verdict, Verdict, Verdict] => [a, b, i < j ? a : b]));
  test.each(pairs)('%s and %s is %s', (a, b, expected) => {
    expect(worst([a, b])).toBe(expected);
    expect(worst([b, 'intact', a])).toBe(expected);
  });

  test('of nothing at all is intact', () => {
    expect(worst([])).toBe('intact');
  });

  test.each<[string, (sheet: Sheet) => void, Verdict]>([
    ['what passes', (to) => pass(to, 'a', ''), 'intact'],
    ['what nobody asked for', (to) => skip(to, 'a', ''), 'intact'],
    ['what is missing', (to) => lack(to, 'a', ''), 'incomplete'],
    ['what could not be checked', (to) => miss(to, 'a', ''), 'unverifiable'],
    ['what fails', (to) => fail(to, 'a', 'seal', ''), 'tampered'],
  ])('of %s', (_name, write, verdict) => {
    const to = sheet();
    pass(to, 'before', '');
    write(to);
    pass(to, 'after', '');
    expect(verdictOf(to.checks)).toBe(verdict);
    expect(verdictOfAll([report([]), report(to.checks)])).toBe(verdict);
  });

  test.each(CODES)('a refusal with the code %s is tampered, and only "unsupported" says nothing', (code) => {
    const to = sheet();
    const act = (): number => {
      throw new TlogError(code, 'thing: expected X, got Y');
    };
    expect(attempt(to, 'thing', act)).toBeUndefined();
    expect(
      holds(to, 'thing', () => {
        act();
      }),
    ).toBe(false);
    expect(to.checks.map((check) => check.code)).toEqual([code, code]);
    expect(verdictOf(to.checks)).toBe(code === 'unsupported' ? 'unverifiable' : 'tampered');
  });

  test('our own bugs are no verdict', () => {
    const bug = new RangeError('a bug');
    const act = (): never => {
      throw bug;
    };
    expect(() => attempt(sheet(), 'thing', act)).toThrow(bug);
  });
});

describe('printing', () => {
  const to = sheet();
  pass(to, 'entry', 'is well');
  fail({ ...to, prefix: 'anchor ' }, 'seal', 'seal', 'is not');
  skip(to, 'payload', 'not here');

  test('for people', () => {
    expect(formatReports([report(to.checks)])).toBe(`a.tally.json
  PASS  entry        is well
  FAIL  anchor seal  seal: is not
  SKIP  payload      not here
1 passed, 1 failed, 1 not checked
verdict: TAMPERED: something here was changed or forged, see the FAIL lines
protected by:
  - a key
proves:
  - this
does not prove:
  - that
speaks until: entry 3
`);
  });

  test('of several reports ends with the verdict of all', () => {
    expect(formatReports([report([]), report(to.checks)])).toMatch(/verdict of all: TAMPERED: .*\n$/);
  });

  test('for programs says the same', () => {
    expect(reportsToJson([report(to.checks)])).toEqual({
      verdict: 'tampered',
      reports: [
        {
          subject: 'a.tally.json',
          verdict: 'tampered',
          checks: [
            { status: 'PASS', what: 'entry', code: undefined, detail: 'is well' },
            { status: 'FAIL', what: 'anchor seal', code: 'seal', detail: 'is not' },
            { status: 'SKIP', what: 'payload', code: undefined, detail: 'not here' },
          ],
          protected_by: ['a key'],
          proves: ['this'],
          does_not_prove: ['that'],
          speaks_until: 'entry 3',
        },
      ],
    });
  });

  test('shows what would move the cursor or hide text as escapes', () => {
    const hostile = sheet();
    pass(hostile, 'entry', 'a\r\n\u001b[2Jb\u202ec\u2028');
    expect(formatReports([report(hostile.checks)])).toContain('a\\u000d\\u000a\\u001b[2Jb\\u202ec\\u2028');
  });
});

describe('ranges of indexes', () => {
  test.each<[number[], string]>([
    [[], ''],
    [[4], '4'],
    [[4, 5], '4 and 5'],
    [[4, 5, 6], '4 to 6'],
    [[0, 2, 3, 7, 8, 9], '0, 2 and 3, 7 to 9'],
  ])('%j is told as %j', (indexes, expected) => {
    const ranges = new Ranges();
    for (const index of indexes) ranges.add(index);
    expect(ranges.toString()).toBe(expected);
    expect(ranges.count).toBe(indexes.length);
  });

  test('take bounded space', () => {
    const ranges = new Ranges();
    for (let i = 0; i < 1000; i++) ranges.add(2 * i);
    expect(ranges.count).toBe(1000);
    expect(ranges.toString()).toMatch(/^0, 2, 4, .*, 198, and 900 more$/);
  });
});
