import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { event, type Events } from '../../agent/events.ts';
import { parseAnchor } from '../../auditor/anchor.ts';
import { verifyAdmission, signAdmission } from '../../tlog/admission.ts';
import { concat, decodeHex, decodeUtf8, encodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import { Reader } from '../../tlog/cbor.ts';
import { signCheckpoint, verifyFleetCheckpoint } from '../../tlog/checkpoint.ts';
import { cosign } from '../../tlog/cosignature.ts';
import { signEnrolment } from '../../tlog/enrolment.ts';
import { AGENT_SOURCE, encodeStem, entryLeafHash, joinEntry } from '../../tlog/entry.ts';
import type { Attribute } from '../../tlog/entry.ts';
import { CODES } from '../../tlog/error.ts';
import { formatEvidence, parseEvidence } from '../../tlog/evidence.ts';
import { encodeRecord, readRecord } from '../../tlog/export.ts';
import type { ExportRecord } from '../../tlog/export.ts';
import { leafHash } from '../../tlog/hash.ts';
import { inclusionProof, rootOfLeaves, Tree } from '../../tlog/merkle.ts';
import { foldHeader, unfoldPayload } from '../../tlog/message.ts';
import { collectorName, fleetLogName, formatOrigin, generationName, logId } from '../../tlog/origin.ts';
import { payloadHash, saltsOf } from '../../tlog/payload.ts';
import { parsePolicy } from '../../tlog/policy.ts';
import { formatProof, parseProof, verifyProof } from '../../tlog/proof.ts';
import { verifyReceipt } from '../../tlog/receipt.ts';
import { encodeSeal, signSeal } from '../../tlog/seal.ts';
import { decodeSegment, encodeItem, encodeSegment } from '../../tlog/segment.ts';
import { signState, verifyState } from '../../tlog/state.ts';
import { noble } from '../../tlog/suite.ts';
import { verifySegment } from '../../tlog/verify.ts';
import { COSIGNATURE, ED25519, formatVkey, signerKey } from '../../tlog/vkey.ts';
import { readSources, ROOT } from '../support/sources.ts';

// The examples of tlog/FORMAT.md are what the code makes of the inputs that stand beside them. UPDATE_FORMAT=1 writes them anew.

const PATH = join(ROOT, 'tlog/FORMAT.md');
const FENCE = /^```(?<kind>hex|text|json) (?<name>[a-z0-9-]+)\n(?<content>[\s\S]*?)^```$/gm;

/** `json inputs` of the page. Two hex digits stand for 32 times that byte. */
interface Inputs {
  readonly fleet: string;
  readonly device: string;
  readonly seeds: Record<'identity' | 'fleet' | 'collector' | 'fleet log' | 'witness', string>;
  readonly token: string;
  readonly epoch_seeds: readonly [string, string, string];
  readonly salt_keys: readonly [string, string];
  readonly entries_per_seal: readonly [number, number];
  readonly entries: readonly {
    readonly time: number;
    readonly clock: 0 | 1;
    readonly source: string;
    readonly topic: string;
    readonly attributes: readonly Attribute[];
    readonly payload: string | { readonly zeros: number };
    /** How it stands in segment and export. */
    readonly carried: 'whole' | 'large' | 'withheld';
  }[];
  readonly folded: { readonly topic: string; readonly attributes: readonly Attribute[]; readonly payload: string };
  readonly receipt_time: number;
  readonly witness_time: number;
  readonly state_time: number;
  readonly reason: string;
  readonly erased: { readonly reason: string; readonly time: number; readonly by: string };
}

/** One of each shape; that these are all, the compiler sees to. */
const EVENTS: { readonly [Topic in keyof Events]: readonly Events[Topic][] } = {
  start: [{ version: '0.1.0', size: 0 }],
  stop: [{ reason: 'SIGTERM' }],
  heartbeat: [{ size: 1200, receipted: 1024 }],
  clock: [{ synchronised: true }, { step_ms: -3600000 }],
  config: [{ sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08' }],
  continues: [
    {
      origin: 'acme.example/pump-7/0123456789abcdef',
      reason: 'the epoch key is lost',
      size: 1210,
      sealed: 1200,
      root: 'n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=',
      receipt: null,
      moved: 10,
    },
  ],
  shed: [{ origin: 'acme.example/pump-7/0123456789abcdef', first: 0, end: 512, reason: 'quota' }],
  pruned: [
    { origin: 'acme.example/pump-7/0123456789abcdef', end: 1024 },
    { origin: 'acme.example/pump-7/0123456789abcdef', end: 1024, seals: 7 },
  ],
  refused: [{ count: 3, reason: 'quota' }],
  trouble: [{ what: 'the disk is full' }],
};

const page = readFileSync(PATH, 'utf8');
const inputs = JSON.parse(contentOf('inputs')) as Inputs;

function contentOf(name: string): string {
  const found = [...page.matchAll(FENCE)].find(({ groups }) => groups?.['name'] === name)?.groups?.['content'];
  if (found === undefined) throw new Error(`FORMAT.md: expected an example named ${name}, got none`);
  return found;
}

function bytes32(digits: string): Uint8Array {
  return decodeHex(digits.repeat(32));
}

function hexLines(bytes: Uint8Array): string {
  return `${(encodeHex(bytes).match(/.{1,128}/g) ?? []).join('\n')}\n`;
}

function make(): Record<string, string> {
  const { fleet, device, seeds, erased } = inputs;
  const identitySeed = bytes32(seeds.identity);
  const generation = generationName(noble, noble.publicKey(identitySeed));
  const identity = { name: formatOrigin({ fleet, device, generation }), seed: identitySeed };
  const identityKey = signerKey(noble, identity, ED25519);
  const fleetSigner = { name: fleet, seed: bytes32(seeds.fleet) };
  const fleetKey = signerKey(noble, fleetSigner, ED25519);
  const collector = { name: collectorName(fleet), seed: bytes32(seeds.collector) };
  const collectorKey = signerKey(noble, collector, COSIGNATURE);
  const fleetLog = { name: fleetLogName(fleet), seed: bytes32(seeds['fleet log']) };
  const fleetLogKey = signerKey(noble, fleetLog, ED25519);
  const witness = { name: 'witness.example/w1', seed: bytes32(seeds.witness) };
  const epochKeys = inputs.epoch_seeds.map((digits) => {
    const seed = bytes32(digits);
    return { seed, publicKey: noble.publicKey(seed) };
  });
  const id = logId(noble, identityKey);

  // Entries, leaf hashes, seals
  const tree = new Tree(noble);
  let head = id;
  const entries = inputs.entries.map((given, index) => {
    const [inFirst] = inputs.entries_per_seal;
    const k = index < inFirst ? 0 : 1;
    const salt = saltsOf(noble, bytes32(inputs.salt_keys[k]))(k === 0 ? index : index - inFirst);
    const payload = typeof given.payload === 'string' ? encodeUtf8(given.payload) : new Uint8Array(given.payload.zeros);
    const stem = encodeStem(given);
    const hash = payloadHash(noble, payload, salt);
    const entry = joinEntry(stem, hash);
    const prev = head;
    head = entryLeafHash(noble, prev, entry);
    return { ...given, index, k, salt, payload, stem, hash, entry, prev, leaf: head };
  });
  const leaves = entries.map(({ leaf }) => leaf);
  let end = 0;
  const seals = inputs.entries_per_seal.map((count, k) => {
    end += count;
    for (const leaf of leaves.slice(end - count, end)) tree.append(leaf);
    const [key, next] = epochKeys.slice(k);
    if (key === undefined || next === undefined) throw new RangeError('expected an epoch key more than seals, got fewer');
    const sealed = { logId: id, k, size: end, root: tree.root(), publicKey: key.publicKey, nextPublicKey: next.publicKey };
    return signSeal(noble, sealed, key.seed);
  });
  const [seal0, seal1] = seals;
  const [, entry1, entry2, entry3] = entries;
  const [epochKey0] = epochKeys;
  if (!seal0 || !seal1 || !entry1 || !entry2 || !entry3 || !epochKey0) throw new RangeError('expected 4 entries and 2 seals');

  // Notes
  const checkpointAt = (size: number): Uint8Array =>
    signCheckpoint(noble, { origin: identity.name, size, root: rootOfLeaves(noble, leaves.slice(0, size)) }, identity);
  const receipt = cosign(noble, checkpointAt(2), collector, inputs.receipt_time);
  expect(verifyReceipt(noble, receipt, { identity: identityKey, collector: collectorKey }).size).toBe(2);
  const enrolment = signEnrolment(noble, { identity, sealKey: epochKey0.publicKey, token: bytes32(inputs.token) });
  const admission = signAdmission(noble, enrolment, fleetSigner);
  expect(verifyAdmission(noble, admission, fleetKey).identity.name).toBe(identity.name);
  const stateNote = {
    origin: identity.name,
    standing: 'admitted',
    size: 2,
    reason: inputs.reason,
    time: inputs.state_time,
  } as const;
  const state = signState(noble, stateNote, fleetSigner);
  expect(verifyState(noble, state, fleetKey)).toEqual(stateNote);
  const fleetLeaves = [admission, receipt].map((note) => leafHash(noble, note));
  const fleetHead = { origin: fleetLog.name, size: 2, root: rootOfLeaves(noble, fleetLeaves) };
  const fleetCheckpoint = cosign(noble, signCheckpoint(noble, fleetHead, fleetLog), witness, inputs.witness_time);
  expect(verifyFleetCheckpoint(noble, fleetCheckpoint, fleetLogKey)).toEqual(fleetHead);

  const anchor = JSON.stringify({ checkpoint: decodeUtf8(fleetCheckpoint), timestamps: [] });
  expect(parseAnchor(encodeUtf8(anchor)).checkpoint).toEqual(fleetCheckpoint);

  // Segment
  const items = entries.map(({ stem, payload, hash, carried }) =>
    encodeItem(stem, carried === 'whole' ? { payload, payloadHash: null } : { payload: null, payloadHash: hash }),
  );
  const salts = [
    bytes32(inputs.salt_keys[0]),
    entries.filter(({ k }) => k === 1).map(({ carried, salt }) => (carried === 'withheld' ? new Uint8Array() : salt)),
  ];
  const segment = encodeSegment(
    noble,
    {
      start: 0,
      checkpoint: checkpointAt(4),
      seals: seals.map((seal, k) => ({ ...seal, salts: salts[k] ?? [] })),
      firstSeal: 0,
      items: concat(...items),
    },
    identity.seed,
  );
  const verified = verifySegment(noble, decodeSegment(segment), {
    identity: identityKey,
    tree: new Tree(noble),
    head: id,
    seals: { logId: id, k: 0, size: 0, publicKey: epochKey0.publicKey },
    rootAt: () => rootOfLeaves(noble, []),
    leafAt: () => id,
  });
  expect(verified).toMatchObject({ kind: 'extends', head });

  // Evidence and export
  const proof = formatProof({
    index: 1,
    hashes: inclusionProof(noble, 1, 2, (_, index) => leaves[index] ?? id),
    checkpoint: receipt,
  });
  expect(verifyProof(noble, parseProof(proof), entry1.leaf).size).toBe(2);
  const { entry, prev, payload, salt } = entry1;
  const bare = { entry, prev, payload, salt, proof, seal: encodeSeal(seal0), admission };
  const evidence = formatEvidence({ ...bare, fleet: null, timestamps: [], after: null });
  expect(parseEvidence(evidence).proof).toBe(proof);
  const record = (value: ExportRecord): string => {
    const encoded = encodeRecord(value);
    expect(readRecord(new Reader(encoded))).toEqual(value);
    return hexLines(encoded);
  };
  const half = new Tree(noble, 2, [rootOfLeaves(noble, leaves.slice(0, 2))]);

  // Trust file
  const trust = [
    '# Whom the auditor of acme.example believes',
    `log ${formatVkey(fleetLogKey)}`,
    `fleet ${formatVkey(fleetKey)}`,
    `collector ${formatVkey(collectorKey)}`,
    `device ${formatVkey(identityKey)}`,
    `witness w1 ${formatVkey(signerKey(noble, witness, COSIGNATURE))} https://witness.example/`,
    'group seen any w1',
    'quorum seen',
    '',
  ].join('\n');
  expect(parsePolicy(noble, trust)).toMatchObject({ quorum: 'seen', devices: [identityKey], collectors: [collectorKey] });

  const { folded } = inputs;
  const foldedPayload = concat(
    foldHeader(folded, encodeUtf8(folded.payload).length).before ?? new Uint8Array(),
    encodeUtf8(folded.payload),
  );
  expect(unfoldPayload(foldedPayload)).toEqual({ ...folded, payload: encodeUtf8(folded.payload) });

  const values: [string, string][] = [
    ['generation', generation],
    ['identity vkey', formatVkey(identityKey)],
    ['log-id', encodeHex(id)],
    ...entries.map(({ index, salt: own }): [string, string] => [`salt ${index}`, encodeHex(own)]),
    ...entries.map(({ index, hash }): [string, string] => [`payload-hash ${index}`, encodeHex(hash)]),
    ...entries.map(({ index, leaf }): [string, string] => [`leaf-hash ${index}`, encodeHex(leaf)]),
    ...seals.map(({ size, root }): [string, string] => [`root at ${size}`, encodeHex(root)]),
    ...epochKeys.map(({ publicKey }, k): [string, string] => [`public key of seal ${k}`, encodeHex(publicKey)]),
  ];
  return {
    values: values.map(([name, value]) => `${name.padEnd(21)} ${value}\n`).join(''),
    events: Object.entries(EVENTS)
      .flatMap(([topic, payloads]) => payloads.map((each) => ({ topic: topic as keyof Events, each })))
      .map(({ topic, each }) => {
        const message = event({ time: 0, clock: 0 }, topic, each);
        return `${topic.padEnd(9)} ${decodeUtf8(message.payload as Uint8Array)}\n`;
      })
      .join(''),
    anchor: `${anchor}\n`,
    'folded-payload': hexLines(foldedPayload),
    'entry-1': hexLines(entry1.entry),
    'seal-0': hexLines(encodeSeal(seal0)),
    checkpoint: decodeUtf8(checkpointAt(4)),
    receipt: decodeUtf8(receipt),
    'fleet-checkpoint': decodeUtf8(fleetCheckpoint),
    enrolment: decodeUtf8(enrolment),
    admission: decodeUtf8(admission),
    state: decodeUtf8(state),
    'item-0': hexLines(items[0] ?? new Uint8Array()),
    'item-3': hexLines(items[3] ?? new Uint8Array()),
    segment: hexLines(segment),
    evidence: decodeUtf8(evidence),
    trust,
    'record-checkpoint': record({ kind: 'checkpoint', note: checkpointAt(4) }),
    'record-from': record({ kind: 'from', index: 2, head: entry1.leaf, peaks: half.peaks }),
    'record-entry': record({ kind: 'entry', index: 1, entry, leaf: entry1.leaf }),
    'record-payload': record({ kind: 'payload', index: 1, salt, payload }),
    'record-salt': record({ kind: 'salt', index: 2, salt: entry2.salt }),
    'record-erased': record({ kind: 'erased', index: 3, ...erased }),
    'record-seal': record({ kind: 'seal', seal: seal1 }),
  };
}

describe('examples', () => {
  const made = make();
  if (process.env['UPDATE_FORMAT'] === '1') {
    const updated = page.replace(FENCE, (fence: string, kind: string, name: string) => {
      const content = made[name];
      return content === undefined ? fence : `\`\`\`${kind} ${name}\n${content}\`\`\``;
    });
    writeFileSync(PATH, updated);
  }
  const names = [...page.matchAll(FENCE)].map(({ groups }) => groups?.['name'] ?? '');

  test('are those that are made here, each once', () => {
    expect(names.toSorted()).toEqual(['inputs', ...Object.keys(made)].toSorted());
  });

  test.each(Object.entries(made))('%s', (name, content) => {
    const current = [...readFileSync(PATH, 'utf8').matchAll(FENCE)].find(({ groups }) => groups?.['name'] === name);
    expect(current?.groups?.['content']).toBe(content);
  });
});

/** The cells of the rows of the table that follows a heading. */
function tableUnder(heading: string): string[][] {
  const section = page.split(/^## /m).find((text) => text.startsWith(heading));
  if (section === undefined) throw new Error(`FORMAT.md: expected a section "${heading}", got none`);
  const rows = section.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

test('the table of codes is the list of tlog/error.ts, word by word', () => {
  const [error] = readSources('tlog').filter(({ path }) => path === 'tlog/error.ts');
  const documented = [...(error?.text ?? '').matchAll(/^ \* - `(\w+)`: (.+)$/gm)].map(([, code, meaning]) => [code, meaning]);
  const table = tableUnder('14. Codes');
  expect(documented.map(([code]) => code)).toEqual([...CODES]);
  expect(table.map(([code, meaning]) => [code?.replaceAll('`', ''), meaning])).toEqual(documented);
  expect(table.filter(([, , consequence = '']) => consequence === '')).toEqual([]);
});

describe('the table of limits', () => {
  /** Not limits of the format: the longest head of a CBOR item, how deep the decoder of any CBOR goes, what can be hashed as a leaf. */
  const OTHERS = [
    'cbor-writer.ts MAX_HEAD_BYTES',
    'cbor.ts MAX_DEPTH',
    'message.ts MAX_HEADS_BYTES',
    'entry.ts MAX_ENTRY_BYTES',
    'entry.ts MAX_STEM_BYTES',
  ];
  const texts = readSources('tlog').flatMap(({ path, text }) =>
    [...text.matchAll(/^(?:export )?const ((?:MAX|EPOCH)_\w+) = (.+);$/gm)].map(([, name = '', value = '']) => ({
      name: `${path.slice('tlog/'.length)} ${name}`,
      value,
    })),
  );
  /** `1_024`, `MAX_PAYLOAD_BYTES + 256`. */
  const evaluate = (text: string): number =>
    text
      .split(' + ')
      .map((term) => {
        const known = texts.find(({ name }) => name === term || name.endsWith(` ${term}`));
        return known === undefined ? Number(term.replaceAll('_', '')) : evaluate(known.value);
      })
      .reduce((sum, term) => sum + term);
  const table = tableUnder('15. Limits').map(([what = '', limit = '', , constant = '']) => {
    return { what, limit: Number(limit.replaceAll(',', '')), constant: constant.replaceAll('`', '') };
  });
  const rows = table.filter(({ constant }) => constant !== '');

  test.each(rows)('$what', ({ limit, constant }) => {
    expect(evaluate(constant)).toBe(limit);
  });

  test('is complete', () => {
    const listed = new Set(rows.flatMap(({ constant }) => constant.split(' + ')));
    expect(listed).toEqual(new Set(texts.map(({ name }) => name).filter((name) => !OTHERS.includes(name))));
  });
});

test("the attributes of the agent's own are those that the code adds", () => {
  const documented = tableUnder('3. Entry').flatMap(([keys = '']) => [...keys.matchAll(/`(\$\w+)`/g)].map(([, key]) => key));
  const added = readSources('tlog', 'agent').flatMap(({ text }) => [...text.matchAll(/'(\$[a-z]+)'/g)].map(([, key]) => key));
  expect(documented.toSorted()).toEqual([...new Set(added)].filter((key) => key !== AGENT_SOURCE).toSorted());
});

test('sections that code refers to are there', () => {
  const headings = [...page.matchAll(/^##+ (\d+(?:\.\d+)?)\.? /gm)].map(([, number]) => number);
  const referred = readSources('tlog', 'agent', 'auditor', 'program').flatMap(({ path, text }) =>
    [...text.matchAll(/FORMAT\.md,? ((?:§[\d.]+(?:, | and )?)+)/g)].flatMap(([, list = '']) =>
      [...list.matchAll(/§(\d+(?:\.\d+)?)/g)].map(([, number]) => ({ path, number })),
    ),
  );
  expect(referred.length).toBeGreaterThan(20);
  expect(referred.filter(({ number }) => !headings.includes(number))).toEqual([]);
});
