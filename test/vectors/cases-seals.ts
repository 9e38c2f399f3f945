import { native } from '../../program/native.ts';
import { concat, decodeHex, encodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import { encode } from '../../tlog/cbor.ts';
import type { Value } from '../../tlog/cbor.ts';
import { signCheckpoint } from '../../tlog/checkpoint.ts';
import { countersignNote } from '../../tlog/note.ts';
import { encodeSeal, signSeal } from '../../tlog/seal.ts';
import type { Seal, SealState } from '../../tlog/seal.ts';
import { encodeItem } from '../../tlog/segment.ts';
import type { Segment, SegmentSeal } from '../../tlog/segment.ts';
import type { Signer } from '../../tlog/vkey.ts';
import { seed } from '../support/fleet.ts';
import type { BuiltLog } from '../support/log.ts';
import { encodeRaw, rawSegment } from '../support/raw-segment.ts';
import type { RawSegment } from '../support/raw-segment.ts';
import { log, must, twin, valve, VKEYS } from './sample.ts';
import { vectorsOf } from './vector.ts';
import type { Case, Json, Vector } from './vector.ts';

const impostor: Signer = { name: log.identity.name, seed: seed(99) };
const NONE = new Uint8Array();

export function sealVectors(): [string, Vector][] {
  const seal = must(log.seals[1]);
  const context = stateContext(log.held(1).seals, log.rootAt(5));
  const one = (name: string, description: string, input: Uint8Array, expect: Case['expect'] = 'seal'): Case => ({
    ...{ name, description, input, context, expect },
    ...(expect === 'ok' ? { output: { k: 2, size: 5, publicKey: encodeHex(seal.nextPublicKey) } } : {}),
  });
  const signed = (fields: Partial<Seal>, sealSeed = log.sealSeed(1)): Uint8Array =>
    encodeSeal(signSeal(native, { ...seal, ...fields }, sealSeed));
  const sealed: Value[] = ['tallystick/seal/v1', log.logId, 1, 5, seal.root, seal.publicKey, seal.nextPublicKey];
  return vectorsOf('seal', [
    one('continues', 'The seal that comes next', encodeSeal(seal), 'ok'),
    {
      ...one('first', 'Seal 0, by the key that the enrolment names', encodeSeal(must(log.seals[0])), 'ok'),
      context: stateContext(log.held(0).seals, log.rootAt(2)),
      output: { k: 1, size: 2, publicKey: encodeHex(seal.publicKey) },
    },
    one('log-id-of-another-log', 'Signed by the right key for another log', signed({ logId: valve.logId })),
    one('repeated', 'The seal before again', encodeSeal(must(log.seals[0]))),
    one('skipped', 'The seal after the next', encodeSeal(must(log.seals[2]))),
    one('number-skipped', 'Seal 2 in place of seal 1, by the right key', signed({ k: 2 })),
    one('size-not-rising', 'The size that is sealed already', signed({ size: 2 })),
    one('size-too-small', 'A size that is under the one that is sealed', signed({ size: 1 })),
    one('root-of-another-history', 'The root of other entries', signed({ root: twin.rootAt(5) })),
    one(
      'by-a-later-key',
      "By the key of seal 2, which names itself as this seal's key",
      signed({ publicKey: must(log.seals[2]).publicKey }, log.sealSeed(2)),
    ),
    one('by-identity-key', "By the device's identity key", signed({ publicKey: log.identityKey.publicKey }, log.identity.seed)),
    one('signature-by-another-key', 'A signature that the key it names did not make', signed({}, seed(9))),
    one('next-key-changed', 'Another successor under the signature', encodeSeal({ ...seal, nextPublicKey: seal.publicKey })),
    one('signature-of-seal-0', 'The signature of seal 0', encodeSeal({ ...seal, signature: must(log.seals[0]).signature })),
    one('context-v2', 'Another version', encode([['tallystick/seal/v2', ...sealed.slice(1)], seal.signature]), 'malformed'),
    one('root-of-31-bytes', 'A root of 31 bytes', encode([sealed.with(4, seal.root.subarray(1)), seal.signature]), 'malformed'),
    one('signature-of-63-bytes', 'A signature of 63 bytes', encode([sealed, seal.signature.subarray(1)]), 'malformed'),
    one('not-nested', 'The signature as an eighth item', encode([...sealed, seal.signature]), 'malformed'),
    one('byte-after', 'A byte after the seal', concat(encodeSeal(seal), Uint8Array.of(0)), 'malformed'),
  ]);
}

function stateContext({ logId, k, size, publicKey }: SealState, root: Uint8Array): Record<string, Json> {
  return { logId: encodeHex(logId), k, size, publicKey: encodeHex(publicKey), root: encodeHex(root) };
}

interface Draft {
  readonly parts: Segment;
  readonly raw?: Partial<RawSegment>;
  readonly signer?: Signer;
}

/** Of the sample's log after so many seals: what the context of a segment holds. */
function heldContext(seals: number, source: BuiltLog = log): Record<string, Json> {
  const held = source.held(seals);
  return {
    identity: VKEYS.identity,
    seal: { k: seals, publicKey: encodeHex(held.seals.publicKey) },
    leaves: source.leaves.slice(0, held.tree.size).map(encodeHex),
  };
}

function encodeDraft({ parts, raw = {}, signer = log.identity }: Draft): Uint8Array {
  return encodeRaw({ ...rawSegment(parts), ...raw }, signer.seed);
}

/** A stream of one uncompressed meta-block (RFC 7932 §9.2), the same whoever makes it: at most 65,536 bytes. */
function storedBrotli(data: Uint8Array): Uint8Array {
  const head = ((data.length - 1) << 4) | (1 << 20);
  return concat(Uint8Array.of(head & 255, (head >> 8) & 255, (head >> 16) & 255), data, Uint8Array.of(3));
}

/** 2^20 + 1 zeros. */
const OVER_A_MEBIBYTE = decodeHex('9b000010f82700e2b14040f7fe01');

export function segmentVectors(): [string, Vector][] {
  const whole = log.parts(0, 4);
  const part = log.parts(1, 3);
  const held = heldContext(1);
  const checkpointOf = (size: number, root: Uint8Array, signer: Signer = log.identity): Uint8Array =>
    signCheckpoint(native, { origin: signer.name, size, root }, signer);
  const withSeal = (place: number, seal: Partial<SegmentSeal>): Segment => ({
    ...part,
    seals: part.seals.map((old, i) => (i === place ? { ...old, ...seal } : old)),
  });
  const { entries } = log;
  const itemOf = (index: number, payload?: string): Uint8Array => {
    const { stem, payload: own, payloadHash, carried } = must(entries[index]);
    if (payload === undefined && carried !== 'whole') return encodeItem(stem, { payload: null, payloadHash });
    return encodeItem(stem, { payload: payload === undefined ? own : encodeUtf8(payload), payloadHash: null });
  };
  const bareItem = (index: number): Uint8Array =>
    encodeItem(must(entries[index]).stem, { payload: null, payloadHash: must(entries[index]).payloadHash });
  /** Of entries 2 to 7, some replaced. */
  const withItems = (replaced: Record<number, Uint8Array>): Segment => ({
    ...part,
    items: concat(...[2, 3, 4, 5, 6].map((index) => replaced[index] ?? itemOf(index))),
  });
  const salts = must(log.epochs[1]).entries.map(({ salt, carried }) => (carried === 'withheld' ? NONE : salt));
  const secondSalts = must(log.epochs[2]).entries.map(({ salt }) => salt);

  const ok = (name: string, description: string, draft: Draft, context: Record<string, Json>, output: Json): Case => ({
    ...{ name, description, input: encodeDraft(draft), context, expect: 'ok', output },
  });
  const bad = (
    expect: Case['expect'],
    name: string,
    description: string,
    draft: Draft,
    context: Record<string, Json> = held,
  ): Case => ({
    ...{ name, description, input: encodeDraft(draft), context, expect },
  });
  const after = (seals: number): Json => {
    const { tree, head, seals: state } = log.held(seals);
    return {
      ...{ answer: 'extends', size: tree.size, root: encodeHex(tree.root()), head: encodeHex(head) },
      seal: { k: state.k, publicKey: encodeHex(state.publicKey) },
    };
  };

  return vectorsOf('segment', [
    ok('extends-empty-log', 'Four seals, to a verifier that holds nothing', { parts: whole }, heldContext(0), after(4)),
    ok('extends', 'Two seals: payloads, one withheld, one too large to be kept', { parts: part }, held, after(3)),
    ok('overlaps', 'Four seals, two of which are held', { parts: whole }, heldContext(2), after(4)),
    ok(
      'compressed',
      'Its items in a brotli stream',
      { parts: part, raw: { compression: 1, items: storedBrotli(part.items) } },
      held,
      after(3),
    ),
    ok(
      'size-salt-erased',
      'The salt of a payload that was too large to be kept is erased',
      { parts: withSeal(0, { salts: salts.with(1, NONE) }) },
      held,
      after(3),
    ),
    ok(
      'overlap-seal-signature-changed',
      'The signature of a seal that is held already: it is not looked at',
      { parts: { ...whole, seals: whole.seals.map((seal, i) => (i === 0 ? { ...seal, signature: new Uint8Array(64) } : seal)) } },
      heldContext(1),
      after(4),
    ),
    ok('duplicate', 'What is held already', { parts: part }, heldContext(3), { answer: 'duplicate' }),
    ok('duplicate-older', 'Less than what is held already', { parts: log.parts(0, 1) }, heldContext(3), { answer: 'duplicate' }),
    ok(
      'duplicate-with-damaged-items',
      'A duplicate is one by its checkpoint',
      { parts: { ...part, items: NONE } },
      heldContext(3),
      { answer: 'duplicate' },
    ),
    ok('early', 'It begins after what is held', { parts: log.parts(2, 3) }, held, { answer: 'early' }),
    bad('fork', 'fork', 'Another history of the same size, signed by the same keys', { parts: twin.parts(1, 3) }, heldContext(3)),
    bad(
      'fork',
      'fork-below-what-is-held',
      'Another history of a size that was passed',
      { parts: twin.parts(1, 2) },
      heldContext(4),
    ),

    // Step 1
    bad('malformed', 'context-v2', 'Another version', { parts: part, raw: { context: 'tallystick/segment/v2' } }),
    bad('malformed', 'no-seals', 'No seal', { parts: part, raw: { seals: [] } }),
    bad('malformed', 'compression-2', 'Compression 2', { parts: part, raw: { compression: 2 } }),
    bad('malformed', 'salt-of-15-bytes', 'A salt of 15 bytes', {
      parts: withSeal(0, { salts: salts.with(2, new Uint8Array(15)) }),
    }),
    bad('malformed', 'salt-key-of-31-bytes', 'A salt-key of 31 bytes', { parts: withSeal(1, { salts: new Uint8Array(31) }) }),
    bad('malformed', 'compressed-byte-after', 'A byte after the end of the brotli stream', {
      parts: part,
      raw: { compression: 1, items: concat(storedBrotli(part.items), Uint8Array.of(0)) },
    }),
    bad('malformed', 'compressed-second-stream', 'A second brotli stream', {
      parts: part,
      raw: { compression: 1, items: concat(storedBrotli(part.items), storedBrotli(part.items)) },
    }),
    bad('malformed', 'compressed-cut-off', 'The brotli stream without its last byte', {
      parts: part,
      raw: { compression: 1, items: storedBrotli(part.items).subarray(0, -1) },
    }),
    bad('limit', 'inflated-over-a-mebibyte', 'A brotli stream of 1,048,577 zeros', {
      parts: part,
      raw: { compression: 1, items: OVER_A_MEBIBYTE },
    }),
    bad(
      'unsupported',
      'no-inflate',
      'Compressed, to a verifier that can not inflate',
      { parts: part, raw: { compression: 1, items: storedBrotli(part.items) } },
      { ...held, inflate: 'none' },
    ),
    {
      name: 'byte-after',
      description: 'A byte after the segment',
      input: concat(encodeDraft({ parts: part }), Uint8Array.of(0)),
      context: held,
      expect: 'malformed',
    },

    // Steps 2 and 3
    bad('origin', 'another-log', "Another device's segment", { parts: valve.parts(0, 1), signer: valve.identity }),
    bad('signature', 'checkpoint-by-another-key', 'A checkpoint by another key of that name', {
      parts: { ...part, checkpoint: checkpointOf(7, log.rootAt(7), impostor) },
    }),
    bad('signature', 'checkpoint-with-second-line', "Another device's line on the checkpoint", {
      parts: { ...part, checkpoint: countersignNote(native, part.checkpoint, valve.identity) },
    }),
    bad('signature', 'checkpoint-is-receipt', 'A receipt in place of the checkpoint', {
      parts: { ...part, checkpoint: log.receiptAt(7) },
    }),
    bad('signature', 'signature-by-another-key', 'The segment signed by another key', { parts: part, signer: impostor }),
    {
      name: 'payload-stripped',
      description: 'A payload replaced by its hash on the way, and the salts with it',
      input: stripped(part, [itemOf(2), itemOf(3), itemOf(4), bareItem(5), itemOf(6)], [NONE, must(secondSalts[1])]),
      context: held,
      expect: 'signature',
    },

    // Step 4
    bad('malformed', 'checkpoint-of-later-size', 'A checkpoint that is of more than the last seal', {
      parts: { ...part, checkpoint: log.checkpointAt(8) },
    }),
    bad('malformed', 'checkpoint-of-earlier-size', 'A checkpoint that is of less than the last seal', {
      parts: { ...part, checkpoint: log.checkpointAt(5) },
    }),
    bad('malformed', 'seals-not-rising', 'The seals in another order', { parts: { ...part, seals: part.seals.toReversed() } }),
    bad('malformed', 'seal-at-start', 'A start at the first seal', { parts: { ...part, start: 5 } }),

    // Step 7
    bad(
      'mismatch',
      'overlap-payload-changed',
      'A payload changed in what is held already',
      { parts: withItems({ 4: itemOf(4, '{"bar":9.9}') }) },
      heldContext(2),
    ),
    bad(
      'mismatch',
      'overlap-without-seal',
      'No seal where the log held ends',
      { parts: { ...part, seals: part.seals.slice(1) } },
      heldContext(2),
    ),
    bad(
      'mismatch',
      'goes-on-from-another-history',
      'The held log is of another history from entry 2 on',
      { parts: whole },
      heldContext(2, twin),
    ),

    // Step 8
    bad('malformed', 'item-missing', 'An item missing', { parts: withItems({ 6: NONE }) }),
    bad('malformed', 'item-too-many', 'An item after the last seal', {
      parts: { ...part, items: concat(part.items, itemOf(7)) },
    }),
    bad('malformed', 'item-clock-2', 'An item with clock 2', { parts: withItems({ 5: encode([0, 2, 's', '', [], NONE]) }) }),
    bad('limit', 'item-source-too-long', 'An item with a source of 65 bytes', {
      parts: withItems({ 5: encode([0, 0, 's'.repeat(65), '', [], NONE]) }),
    }),
    bad('malformed', 'item-hash-of-31-bytes', 'A withheld payload with a hash of 31 bytes', {
      parts: withItems({ 2: concat(must(entries[2]).stem, encode([new Uint8Array(31)])) }),
    }),
    bad('malformed', 'payload-without-salt', 'The salt of a payload that is carried is missing', {
      parts: withSeal(0, { salts: salts.with(2, NONE) }),
    }),
    bad('malformed', 'withheld-with-salt', 'The salt of a payload that is withheld', {
      parts: withSeal(0, { salts: salts.with(0, must(log.entries[2]).salt) }),
    }),
    bad('malformed', 'salt-key-of-withheld', 'The salt-key of an epoch in which a payload is withheld', {
      parts: withSeal(0, { salts: must(log.epochs[1]).saltKey }),
    }),
    bad('malformed', 'salts-of-none-withheld', 'Salts one by one where none is withheld', {
      parts: withSeal(1, { salts: secondSalts }),
    }),
    bad('malformed', 'salts-too-few', 'A salt too few', { parts: withSeal(0, { salts: salts.slice(1) }) }),
    bad('malformed', 'salts-too-many', 'A salt too many', { parts: withSeal(0, { salts: [...salts, NONE] }) }),

    // Step 9
    bad('seal', 'payload-changed', 'A payload changed', { parts: withItems({ 5: itemOf(5, '{"bar":9.9}') }) }),
    bad('seal', 'entries-swapped', 'Two entries swapped', { parts: withItems({ 5: itemOf(6), 6: itemOf(5) }) }),
    bad('seal', 'first-seal-too-high', 'Numbered from 2 in place of 1', { parts: { ...part, firstSeal: 2 } }),
    bad(
      'seal',
      'seal-left-out',
      'A seal in the middle left out',
      { parts: { ...log.parts(2, 4), seals: log.parts(2, 4).seals.slice(1) } },
      heldContext(2),
    ),
    bad('seal', 'seal-next-key-changed', 'Another successor under a signature', {
      parts: withSeal(1, { nextPublicKey: seed(9) }),
    }),
    bad('seal', 'seal-by-a-later-key', 'A seal signed by the key of the one after it', {
      parts: withSeal(0, { signature: signSeal(native, must(log.seals[1]), log.sealSeed(2)).signature }),
    }),
    bad(
      'seal',
      'regenerated-without-epoch-keys',
      'Another history, signed by the identity key and by new epoch keys',
      { parts: regenerated() },
      heldContext(1),
    ),

    // Step 10
    bad('mismatch', 'root-changed', 'Another root in the checkpoint', {
      parts: { ...part, checkpoint: checkpointOf(7, seed(9)) },
    }),

    // The earlier step decides
    bad(
      'malformed',
      'bad-seal-before-bad-item',
      'A seal that does not verify, and after its entries an item missing: step 8 comes before step 9',
      { parts: { ...withItems({ 6: NONE }), seals: withSeal(0, { signature: new Uint8Array(64) }).seals } },
    ),
    bad(
      'fork',
      'fork-with-damaged-items',
      'A fork is one by its checkpoint: step 5 comes before step 8',
      { parts: { ...twin.parts(1, 3), items: NONE } },
      heldContext(3),
    ),
    bad('signature', 'signature-before-sizes', 'Signed by another key, and seals that do not rise: step 3 comes before step 4', {
      parts: { ...part, seals: part.seals.toReversed() },
      signer: impostor,
    }),
  ]);
}

/** The segment with other items and salts under the signature of the one that was sent. */
function stripped(part: Segment, items: readonly Uint8Array[], salts: readonly Uint8Array[]): Uint8Array {
  const sent = encodeRaw(rawSegment(part), log.identity.seed);
  const changed = { ...part, seals: part.seals.map((seal, i) => (i === 1 ? { ...seal, salts } : seal)), items: concat(...items) };
  const onTheWay = encodeRaw(rawSegment(changed), impostor.seed);
  return concat(onTheWay.subarray(0, -64), sent.subarray(-64));
}

/** What a thief of the identity key can make who does not have the epoch keys: from seal 1 on by keys of his own. */
function regenerated(): Segment {
  const forged = twin.parts(1, 3);
  const seals = forged.seals.map((seal, i) => {
    const real = must(twin.seals[1 + i]);
    const own = { ...real, publicKey: native.publicKey(seed(50 + i)), nextPublicKey: native.publicKey(seed(51 + i)) };
    return { ...seal, nextPublicKey: own.nextPublicKey, signature: signSeal(native, own, seed(50 + i)).signature };
  });
  return { ...forged, seals };
}
