import { expect, test } from 'vitest';
import { Reader } from '../../tlog/cbor.ts';
import { readHeader } from '../../tlog/entry.ts';
import { foldHeader } from '../../tlog/message.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';
import { newScene } from '../support/scene.ts';

// A machine that sends chooses topic, payload and attributes. It says what the agent would say of itself.

test('an entry as the agent makes it: the source is not theirs to name, and keys that begin with "$" are set aside', () => {
  const { pump } = newScene();
  const lie = encodeUtf8(JSON.stringify({ origin: pump.origin, first: 0, end: 8, reason: 'quota' }));
  const folded = foldHeader({ topic: 'shed', attributes: [['$log', pump.origin]] }, lie.length);
  expect(folded.attributes).toEqual([['$header', 'payload']]);
  const told = pump.append({ topic: 'shed', payload: lie });
  expect(told.code).toBe(0);
  const stems = pump.db((db) => db.prepare('SELECT stem FROM entry ORDER BY id DESC LIMIT 2').all() as { stem: Uint8Array }[]);
  const entry = stems.find(({ stem }) => readHeader(new Reader(stem)).topic === 'shed');
  if (entry === undefined) throw new Error('expected the message to be recorded');
  expect(readHeader(new Reader(entry.stem)).source).not.toBe('$agent');
  // That `verify` does not take it for the agent's word: test/attack/payloads.
  expect(pump.verify().code).toBe(0);
});

test('what was recorded stays: the same message again is another entry', () => {
  const { pump } = newScene();
  const last = (): number => pump.db((db) => db.prepare('SELECT max(id) FROM entry').pluck().get() as number);
  const before = last();
  pump.append({ topic: 'plant', payload: encodeUtf8('1') });
  pump.append({ topic: 'plant', payload: encodeUtf8('1') });
  expect(last()).toBeGreaterThanOrEqual(before + 2);
  expect(pump.verify().code).toBe(0);
});
