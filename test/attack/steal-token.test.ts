import { readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { native } from '../../program/native.ts';
import { decodeBase64 } from '../../tlog/bytes.ts';
import { formatEnrolment, verifyEnrolment } from '../../tlog/enrolment.ts';
import { signNote } from '../../tlog/note.ts';
import { formatOrigin, generationName } from '../../tlog/origin.ts';
import { FLEET, newAgent } from '../support/agent-process.ts';
import { newCollector } from '../support/collector-process.ts';
import { noteKey } from '../support/fleet.ts';
import { random } from '../support/log.ts';
import { startMeddler } from '../support/meddler.ts';

// A join token admits a device without an operator. Somebody reads all that goes over the broker, and is there first.

test('the token is not on the wire, and what is proves it for one identity key only', { timeout: 60_000 }, async () => {
  const meddler = await startMeddler();
  const collector = newCollector();
  const file = collector.token();
  const agent = newAgent('pump-7');
  await agent.start({ ...collector.keys, 'uplink.url': meddler.url, 'uplink.token_file': file });
  const enrolment = await vi.waitFor(() => {
    const seen = meddler.seen.find(({ topic }) => topic === 'tallystick/v1/pump-7/enroll');
    if (seen === undefined) throw new Error(`expected a hello, the agent said ${agent.said()}`);
    return seen.payload;
  }, 20_000);
  await agent.kill();

  const token = Buffer.from(decodeBase64(readFileSync(file, 'utf8').trim()));
  for (const { payload } of meddler.seen) {
    for (const form of [token, token.toString('base64'), token.toString('base64url'), token.toString('hex')]) {
      expect(payload.includes(form)).toBe(false);
    }
  }

  // The thief's own key and the stolen join line, sent before the collector has heard of the device.
  const stolen = verifyEnrolment(native, enrolment);
  expect(stolen.joinSignature).toBeDefined();
  const seed = random(9, 'thief');
  const generation = generationName(native, native.publicKey(seed));
  const thief = { name: formatOrigin({ fleet: FLEET, device: 'pump-7', generation }), seed };
  const forged = signNote(native, formatEnrolment({ ...stolen, identity: noteKey(thief) }), thief);
  await collector.start({ 'mqtt.url': meddler.url });
  const topic = 'tallystick/v1/pump-7/enroll';
  await vi.waitFor(async () => {
    await meddler.publish({ topic, payload: Buffer.from(forged) }, 'live');
    expect(collector.run('--json', 'devices')).toContain(thief.name);
  }, 20_000);
  expect(collector.log(thief.name), 'waits').toBeUndefined();
  expect(JSON.parse(collector.run('--json', 'token', 'list'))).toEqual([expect.objectContaining({ used: 0 })]);

  // Repeating the true one admits the device's own key, which the thief has not.
  await meddler.publish({ topic, payload: enrolment }, 'live');
  await vi.waitFor(() => {
    expect(collector.log(stolen.identity.name)).toBeDefined();
  }, 20_000);
  await meddler.publish({ topic, payload: Buffer.from(forged) }, 'live');
  expect(await collector.stop()).toBe(0);
  expect(collector.log(thief.name), 'still waits').toBeUndefined();
  expect(JSON.parse(collector.run('--json', 'token', 'list'))).toEqual([expect.objectContaining({ used: 1 })]);
});
