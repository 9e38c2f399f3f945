import { encodeStem } from '../../tlog/entry.ts';
import { expect, test } from 'vitest';
import { event } from '../../agent/events.ts';
import { encodeUtf8 } from '../../tlog/bytes.ts';

test('an event is an entry of the source $agent, its topic the kind, its payload JSON', () => {
  expect(event({ time: 5, clock: 1 }, 'clock', { step_ms: -3_600_000 })).toEqual({
    stem: encodeStem({ time: 5, clock: 1, source: '$agent', topic: 'clock', attributes: [] }),
    payload: encodeUtf8('{"step_ms":-3600000}'),
  });
});
