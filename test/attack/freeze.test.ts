import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { decodeSegment, encodeSegment, type Segment } from '../../tlog/segment.ts';
import { inflate } from '../../program/native.ts';
import { random } from '../support/log.ts';
import { newScene, NOW, type Card, type Scene } from '../support/scene.ts';

// Somebody damages the segments of a device, or sends others in its name, so that the collector takes nothing more of it.

/** The true segment that comes next is still taken, all fits, and the shipped program says so. */
function goesOn({ pump, site }: Scene): void {
  site.work((collector, { store }) => {
    collector.receive({ kind: 'segment', device: pump.device, bytes: pump.segment(16) }, NOW + 1);
    expect(store.logs.byOrigin(pump.origin)?.size).toBe(20);
  });
  expect(site.verify().code).toBe(0);
}

function codes({ site, pump }: Scene, messages: readonly Uint8Array[], kind: 'segment' | 'checkpoint' = 'segment'): Set<string> {
  return site.work((collector) => {
    const notices = messages.flatMap((bytes) => collector.receive({ kind, device: pump.device, bytes }, NOW).notices);
    return new Set(notices.flatMap(({ code }) => code ?? []));
  });
}

function signed({ identity }: Card, true_: Uint8Array, change: (segment: Segment) => Segment): Uint8Array {
  return encodeSegment(native, change(decodeSegment(true_, inflate)), identity.seed);
}

test('by a broker: a changed byte anywhere is a bad signature or no segment at all', () => {
  const scene = newScene();
  const bytes = scene.pump.segment(16);
  const damaged = [...bytes.keys()].map((at) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)));
  expect([...codes(scene, damaged)].sort()).toEqual(['malformed', 'origin', 'signature']);
  goesOn(scene);
});

describe('with the identity key, but not the epoch key', () => {
  test.each<[string, string, (segment: Segment, card: Card) => Segment]>([
    [
      'the seal is signed by another key',
      'seal',
      (segment) => ({ ...segment, seals: segment.seals.map((seal) => ({ ...seal, signature: random(9, 'x', 64) })) }),
    ],
    [
      'the seal names a next key of theirs',
      'seal',
      (segment) => ({
        ...segment,
        seals: segment.seals.map((seal) => ({ ...seal, nextPublicKey: native.publicKey(random(9, 'k')) })),
      }),
    ],
    ['the seal has another number', 'seal', (segment) => ({ ...segment, firstSeal: segment.firstSeal + 1 })],
    [
      'the checkpoint has another root',
      'mismatch',
      (segment, { identity, origin }) => ({
        ...segment,
        checkpoint: signCheckpoint(native, { origin, size: 20, root: random(9, 'root') }, identity),
      }),
    ],
    [
      'the entries are others',
      'seal',
      (segment) => ({ ...segment, items: segment.items.map((byte, i, all) => (i === all.length - 1 ? byte ^ 1 : byte)) }),
    ],
    ['it claims to begin later', 'malformed', (segment) => ({ ...segment, start: 18 })],
  ])('%s', (_, code, change) => {
    const scene = newScene('called');
    const forged = signed(scene.pump, scene.pump.segment(16), (segment) => change(segment, scene.pump));
    const found = codes(scene, [forged]);
    if (code !== 'malformed') expect([...found]).toEqual([code]);
    goesOn(scene);
  });

  test('checkpoints of sizes to come, more than are kept: each that the log reaches is a fork with both notes, and the log goes on', () => {
    const scene = newScene();
    const { identity, origin } = scene.pump;
    const claims = Array.from({ length: 100 }, (_, i) =>
      signCheckpoint(native, { origin, size: 17 + i, root: random(i, 'root') }, identity),
    );
    expect(codes(scene, claims, 'checkpoint').size).toBe(0);
    goesOn(scene);
    expect(scene.site.run('evidence').text.match(/FORK/g)).toHaveLength(4);
  });

  test('early segments, more than are held: the one that comes next is taken all the same', () => {
    const scene = newScene('called');
    const early = Array.from({ length: 50 }, (_, i) =>
      signed(scene.pump, scene.pump.segment(16), (segment) => ({
        ...segment,
        start: 100 + i,
        seals: segment.seals.map((seal) => ({ ...seal, size: 200 + i })),
        checkpoint: signCheckpoint(
          native,
          { origin: scene.pump.origin, size: 200 + i, root: random(i, 'root') },
          scene.pump.identity,
        ),
      })),
    );
    codes(scene, early);
    goesOn(scene);
  });
});
