import { expect, test } from 'vitest';
import { EXIT } from '../../program/failure.ts';
import { newDevice } from '../agent/device.ts';
import { contentOf, newMachine, type Machine } from './program.ts';

// `append` brings more than the quota has room for, and nobody else looks after it: the same is done as by the service.

/** The least that can be configured. */
const QUOTA = 16 * 2 ** 20;
/** Bytes of a line. */
const LARGEST = 65_536;
/** More than three times the quota. */
const LINES = 1000;
const input = Array.from({ length: LINES }, (_, i) => `${i} `.padEnd(LARGEST - 1, 'x')).join('\n');

/** A machine with nothing in its log, whose quota is the least. */
function machine(whenFull: string): Machine {
  const settings = `quota_bytes = ${QUOTA}\nfree_floor_bytes = 0\nwhen_full = "${whenFull}"\n`;
  return newMachine(settings, contentOf(newDevice().folder));
}

function sizeOf({ device }: Machine): number {
  return device.read((rows) => rows.size(0));
}

test('is refused beyond the quota, and says what of it is recorded', async () => {
  const found = machine('refuse');
  const { code, err } = await found.agent(['append', '--topic', 't', '--batch', '20'], { input });
  expect(err).toMatch(/: expected room for messages, got a store that is full; lines \d+ to \d+ were not recorded; /);
  expect(code).toBe(EXIT.tryLater);
  const recorded = Number(/the (\d+) messages before are/.exec(err)?.[1]);
  expect(sizeOf(found)).toBe(recorded);
  expect(recorded * LARGEST).toBeLessThan(QUOTA + 20 * LARGEST);
  expect(recorded * LARGEST).toBeGreaterThan(0.9 * QUOTA);
  expect((await found.agent(['append', '--topic', 't'], { input: 'x' })).code).toBe(EXIT.tryLater);
  expect(sizeOf(found)).toBe(recorded);
  // What the collector has goes; then there is room again.
  found.device.with((writer) => {
    writer.log.seal();
  });
  found.device.receive(recorded);
  expect((await found.agent(['append', '--topic', 't'], { input: 'x' })).code).toBe(EXIT.ok);
  expect(found.device.faults()).toEqual([]);
});

test('sheds beyond the quota where that was chosen', async () => {
  const found = machine('shed');
  expect(await found.agent(['append', '--topic', 't'], { input })).toMatchObject({ code: EXIT.ok });
  expect(sizeOf(found)).toBeGreaterThan(LINES);
  expect(found.device.read((rows) => rows.bytes() - rows.reusableBytes())).toBeLessThan(QUOTA);
  expect(found.device.faults()).toEqual([]);
});
