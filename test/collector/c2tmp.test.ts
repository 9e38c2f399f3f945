import { test } from 'vitest';
import { deflate } from '../../program/native.ts';
import { buildLog } from '../support/log.ts';
import { newSite, NOW, siteOf } from './site.ts';
test('cost', () => {
  const built = buildLog({ seed: 1, device: 'pump-7', epochs: Array.from({length: 20}, () => Array.from({length:60}, () => 'x'.repeat(800))) });
  const site = siteOf(buildLog({ seed: 2, device: 'pump-8', epochs: [['a']] }));
  const seg = built.segment(0, 20, deflate);
  console.log('segment bytes', seg.length);
  const t = performance.now();
  for (let i = 0; i < 1000; i++) site.collector.receive({ kind: 'segment', device: `pump-7`, bytes: seg }, NOW);
  console.log('ms per unknown valid segment', (performance.now() - t) / 1000);
  const t2 = performance.now();
  for (let i = 0; i < 1000; i++) site.collector.receive({ kind: 'enroll', device: `pump-7`, bytes: built.enrolment }, NOW);
  console.log('ms per hello waiting', (performance.now() - t2) / 1000);
}, 60000);
