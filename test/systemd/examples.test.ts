import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as agent from '../../agent/config.ts';
import * as collector from '../../collector/config.ts';
import { temporaryFolder } from '../agent/device.ts';

const FOLDER = join(import.meta.dirname, '..', '..', 'systemd');

const NAMES = { agent: '--fleet example.com --device press-7', collector: '--fleet example.com' } as const;

test.each([
  ['agent', agent.renderDefaultConfig({ 'device.fleet': 'example.com', 'device.name': 'press-7' }), agent.loadAgentConfig],
  ['collector', collector.renderDefaultConfig({ 'collector.fleet': 'example.com' }), collector.loadCollectorConfig],
] as const)('%s.toml.example is what the program prints, and shows every setting with its default', (name, printed, load) => {
  const path = join(FOLDER, `${name}.toml.example`);
  const shown = readFileSync(path, 'utf8');
  const anew = `node dist/tallystick-${name}.js config init ${NAMES[name]} > systemd/${name}.toml.example`;
  expect(shown, `settings have changed: npm run build && ${anew}`).toBe(printed);
  const settings = load({ path, env: {}, flags: {} }).effective();
  // With every comment that is a statement made one.
  const whole = join(temporaryFolder(), 'whole.toml');
  writeFileSync(whole, shown.replace(/^#(?! )(?=.)/gm, ''));
  const spoken = load({ path: whole, env: {}, flags: {} }).effective();
  expect(spoken.map(({ key, value }) => ({ key, value }))).toEqual(settings.map(({ key, value }) => ({ key, value })));
  expect(spoken.filter(({ origin }) => origin === 'default')).toEqual([]);
});
