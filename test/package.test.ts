import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './support/sources.ts';

const PROGRAMS = ['tallystick-agent', 'tallystick-audit', 'tallystick-collector'];
test.each(PROGRAMS)('%s is built as something that can be executed', (name) => {
  expect(readFileSync(join(ROOT, 'dist', `${name}.js`), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
});

test('the lockfile names no addresses, so that any mirror serves it', () => {
  expect(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).not.toMatch(/"resolved"|registry/);
});
