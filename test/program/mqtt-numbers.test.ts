import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeToStream } from 'mqtt-packet';
import { expect, test, vi } from 'vitest';
import { ROOT } from '../support/sources.ts';

test.each(['../../program/mqtt-link.ts', '../../agent/mqtt-session.ts', '../../collector/broker.ts'])(
  'with %s no buffer is kept for each number of two bytes',
  async (module) => {
    vi.resetModules();
    writeToStream.cacheNumbers = true;
    await import(module);
    expect(writeToStream.cacheNumbers).toBe(false);
  },
);

test('all who speak MQTT write their packets by the same copy of mqtt-packet', () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, unknown> };
  expect(Object.keys(packages).filter((path) => path.endsWith('/mqtt-packet'))).toEqual(['node_modules/mqtt-packet']);
});
