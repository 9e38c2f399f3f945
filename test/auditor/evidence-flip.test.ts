import { afterAll, describe, expect, test } from 'vitest';
import { decodeUtf8, encodeBase64, encodeUtf8 } from '../../tlog/bytes.ts';
import { formatEvidence } from '../../tlog/evidence.ts';
import { parseProof } from '../../tlog/proof.ts';
import { formatVkey } from '../../tlog/vkey.ts';
import { buildFleetLog, trustText } from '../support/fleet-log.ts';
import { byteChanges } from '../support/flip.ts';
import { buildLog } from '../support/log.ts';
import { HAS_OPENSSL, makeAuthority } from './authority.ts';
import { checkFiles } from './audited.ts';
import type { Audited } from './audited.ts';

/** Without openssl there are no timestamps in the files, and all else is the same. */
const authority = HAS_OPENSSL ? makeAuthority() : undefined;
afterAll(() => authority?.remove());

const trust = `${trustText()}${authority === undefined ? '' : `timestamp ${encodeBase64(authority.root)}\n`}`;
const before = buildFleetLog([buildLog({ seed: 9, device: 'valve-1', epochs: [['x']] }).admission]).checkpointAt(1);
const named = { checkpoint: decodeUtf8(before), timestamps: [] };
const log = buildLog({
  seed: 1,
  epochs: [
    ['a', { source: '$agent', topic: 'anchor', payload: JSON.stringify(named) }, 'c'],
    ['d', 'e'],
    ['f', 'g'],
  ],
});
const fleet = buildFleetLog(log.fleetNotes());
const plain = log.evidence(0, { fleet });
const full = log.evidence(2, { fleet, after: log.evidence(1, { fleet }) });
const stamped = { ...plain, timestamps: stamps(parseProof(plain.fleet ?? '').checkpoint) };

function stamps(note: Uint8Array): Uint8Array[] {
  return authority === undefined ? [] : [authority.stamp(note, { key: 'ec' })];
}

/** All that the report says against a file: where a code is missing nothing was refused. */
function against({ checks }: Audited): string[] {
  return checks
    .filter(({ status }) => status !== 'PASS')
    .map(({ status, what, code }) => `${status} ${what} ${code ?? 'no code'}`);
}

/** The field `name` of the file with what stands around it, or all of it; one of the three ways to change it for each byte, in turn. */
function* changesOf(file: Uint8Array, name: string): Generator<{ at: number; how: string; changed: Uint8Array }> {
  const text = decodeUtf8(file);
  const start = name === '' ? 0 : encodeUtf8(text.slice(0, text.indexOf(`"${name}"`))).length;
  const end = name === '' ? file.length : encodeUtf8(text.slice(0, text.indexOf('"', text.indexOf(']', start)))).length;
  let i = 0;
  for (const change of byteChanges(file)) {
    if (i++ % 3 === change.at % 3 && change.at >= start && change.at < end) yield change;
  }
}

describe.each([
  ['under seal 0, with fleet log, witness and anchor', '', formatEvidence(full), trust],
  ['with a timestamp', 'timestamps', formatEvidence(stamped), trust],
  ['before there is a receipt', '', log.evidenceFile(4, { proof: 'checkpoint' }), `device ${formatVkey(log.identityKey)}`],
  ['without its payload', '', formatEvidence({ ...plain, payload: null, salt: null }), trust],
])('evidence %s', (_name, field, file, trusted) => {
  test('is intact as it is', () => {
    expect(checkFiles([file], { trust: trusted }).verdict).toBe('intact');
  });

  test('is never intact with any byte changed, and always refused with a code', () => {
    const unnoticed: string[] = [];
    const verdicts = new Set<string>();
    for (const { at, how, changed } of changesOf(file, field)) {
      const audited = checkFiles([changed], { trust: trusted });
      verdicts.add(audited.verdict);
      const isRefused = audited.checks.some(({ verdict, code }) => verdict !== 'intact' && code !== undefined);
      if (audited.verdict === 'intact' || !isRefused) unnoticed.push(`byte ${at} ${how}: ${against(audited).join(', ')}`);
    }
    expect(unnoticed).toEqual([]);
    // An algorithm that is not known and an authority that is not trusted are no proof of a change.
    expect([...verdicts].filter((verdict) => verdict !== 'tampered' && verdict !== 'unverifiable')).toEqual([]);
  }, 120_000);
});
