import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { native } from '../../program/native.ts';
import { concat, decodeBase64, decodeHex, decodeUtf8, encodeBase64, encodeHex, encodeUtf8 } from '../../tlog/bytes.ts';
import { TlogError } from '../../tlog/error.ts';
import { emptyRoot, leafHash } from '../../tlog/hash.ts';
import {
  consistencyProof,
  inclusionProof,
  rootOf,
  rootOfLeaves,
  Tree,
  verifyConsistency,
  verifyInclusion,
} from '../../tlog/merkle.ts';
import type { Subtree } from '../../tlog/merkle.ts';
import type { Suite } from '../../tlog/suite.ts';
import { noble } from '../../tlog/suite.ts';

const SUITES = [
  { name: 'noble', suite: noble },
  { name: 'native', suite: native },
];

function read(file: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../../../shared/vectors', file), 'utf8'));
}

function outcome(attempt: () => void): string {
  try {
    attempt();
    return 'accepted';
  } catch (error) {
    if (error instanceof TlogError) return error.code;
    throw error;
  }
}

/** Expects a verifier to accept, or to refuse with one of the two codes that it has. */
function expectVerdict(vector: { wantErr: boolean }, attempt: () => void): void {
  expect(vector.wantErr ? ['mismatch', 'malformed'] : ['accepted']).toContain(outcome(attempt));
}

/** The subtrees of these leaves, told by append. */
function subtreesOf(suite: Suite, leaves: readonly Uint8Array[]): Subtree {
  const known = new Map<string, Uint8Array>(leaves.map((leaf, index) => [`0 ${index}`, leaf]));
  const tree = new Tree(suite);
  for (const leaf of leaves) tree.append(leaf, (level, index, hash) => known.set(`${level} ${index}`, hash));
  return (level, index) => {
    const hash = known.get(`${level} ${index}`);
    if (hash === undefined) throw new Error(`asked for a subtree that is not complete: level ${level}, index ${index}`);
    return hash;
  };
}

function lines(text: string): string[] {
  return text.split('\n');
}

interface Roots {
  leaf_inputs_hex: string[];
  roots_by_size_hex: string[];
  leaf_hash_L123456: string;
  node_hash_N123_N456: string;
}

interface Claim {
  root: string;
  leafHash: string;
  leafIdx: number;
  proof: string[] | null;
  wantErr: boolean;
}

interface Growth {
  root1: string;
  root2: string;
  proof: string[] | null;
  wantErr: boolean;
}

interface Bundle {
  inclusion: Record<string, Claim & { treeSize: number }>;
  consistency: Record<string, Growth & { size1: number; size2: number }>;
  subtreeinclusion: Record<string, Claim & { start: number; end: number }>;
  subtreeconsistency: Record<string, Growth & { start: number; end: number; size: number }>;
}

const roots = read('merkle/reference-roots.json') as Roots;
const bundle = read('merkle/bundle.json') as Bundle;
const accumulated = read('merkle/accumulated-subtree-vectors.json') as Record<'subtree_hash' | 'subtree_inclusion_proof', string>;
const tessera = read('c2sp/tessera-golden-log.json') as { files_base64: Record<string, string> };
const witness = read('c2sp/witness-add-checkpoint.json') as { sequence: { body: string; status: number; assert: string }[] };
const log300 = read('c2sp/self-made-log300.json') as Record<'checkpoint' | 'tlog_proof_index_257' | 'tile_1_000_p_1_hex', string>;

const decode = (proof: string[] | null): Uint8Array[] => (proof ?? []).map(decodeBase64);
const rows = <T extends object>(cases: Record<string, T>): (T & { name: string })[] =>
  Object.entries(cases).map(([name, value]) => ({ ...value, name }));

/** `[start, end)` is a subtree where start is a multiple of the smallest power of 2 that is at least end - start. */
function isSubtree(start: number, end: number): boolean {
  let width = 1;
  while (width < end - start) width *= 2;
  return start === end || (start < end && start % width === 0);
}

/** Roots that are no hashes but words: the bundle's own verifier compares whatever it is given. */
const NO_HASH = 'additional/sizes-are-equal-one-and-proof-is-empty.json';

describe.each(SUITES)('transparency-dev/merkle on $name', ({ suite }) => {
  test('reference roots', () => {
    const leaves = roots.leaf_inputs_hex.map((input) => leafHash(suite, decodeHex(input)));
    expect(leaves.length).toBe(8);
    const subtree = subtreesOf(suite, leaves);
    for (const [size, expected] of roots.roots_by_size_hex.entries()) {
      expect(encodeHex(rootOfLeaves(suite, leaves.slice(0, size)))).toBe(expected);
      expect(encodeHex(rootOf(suite, size, subtree))).toBe(expected);
    }
    expect(encodeHex(leafHash(suite, encodeUtf8('L123456')))).toBe(roots.leaf_hash_L123456);
    // Its children are 4 bytes, which nodeHash does not take; what the vector can say is the prefix.
    const input = concat(Uint8Array.of(1), encodeUtf8('N123'), encodeUtf8('N456'));
    expect(encodeHex(suite.sha256(input))).toBe(roots.node_hash_N123_N456);
  });

  test('the bundle is whole', () => {
    const { inclusion, consistency, subtreeinclusion, subtreeconsistency } = bundle;
    const counts = [inclusion, consistency, subtreeinclusion, subtreeconsistency].map((cases) => Object.keys(cases).length);
    expect(counts).toEqual([98, 98, 204, 118]);
  });

  test.each(rows(bundle.inclusion))('inclusion $name', ({ leafIdx, treeSize, root, leafHash: leaf, proof, wantErr }) => {
    const claim = { leafHash: decodeBase64(leaf), root: decodeBase64(root), proof: decode(proof) };
    expectVerdict({ wantErr }, () => verifyInclusion(suite, { index: leafIdx, size: treeSize, ...claim }));
  });

  test.each(rows(bundle.consistency))('consistency $name', ({ name, size1, size2, root1, root2, proof, wantErr }) => {
    const claim = { root1: decodeBase64(root1), root2: decodeBase64(root2), proof: decode(proof) };
    const verdict = (): void => verifyConsistency(suite, { size1, size2, ...claim });
    if (name === NO_HASH) {
      expect([wantErr, claim.root1.length, outcome(verdict)]).toEqual([false, 12, 'malformed']);
      return;
    }
    expectVerdict({ wantErr }, verdict);
  });

  test.each(rows(bundle.subtreeinclusion))(
    'subtree inclusion $name',
    ({ leafIdx, start, end, root, leafHash: leaf, proof, wantErr }) => {
      const claim = { leafHash: decodeBase64(leaf), root: decodeBase64(root), proof: decode(proof) };
      expectVerdict({ wantErr }, () => {
        if (!isSubtree(start, end)) throw new TlogError('malformed', 'not a subtree');
        verifyInclusion(suite, { index: leafIdx - start, size: end - start, ...claim });
      });
    },
  );

  // Consistency of a subtree that starts anywhere else, or is empty, is not part of the format.
  const fromStart = rows(bundle.subtreeconsistency).filter(({ start, end }) => start === 0 && end > 0);
  test.each(fromStart)('subtree consistency $name', ({ name, end, size, root1, root2, proof, wantErr }) => {
    const claim = { root1: decodeBase64(root1), root2: decodeBase64(root2), proof: decode(proof) };
    const verdict = (): void => verifyConsistency(suite, { size1: end, size2: size, ...claim });
    if (name === NO_HASH) expect([wantErr, outcome(verdict)]).toEqual([false, 'malformed']);
    else expectVerdict({ wantErr }, verdict);
  });
});

describe.each(SUITES)('accumulated vectors of draft-ietf-plants-merkle-tree-certs on $name', ({ suite }) => {
  const leaves = Array.from({ length: 130 }, (_, i) => leafHash(suite, Uint8Array.of(i)));
  const whole = subtreesOf(suite, leaves);

  /** The subtree seen as a tree of its own. */
  function seenFrom(start: number): Subtree {
    return (level, index) => whole(level, index + start / 2 ** level);
  }

  function accumulate(visit: (start: number, end: number) => string): string {
    let text = '';
    for (let end = 0; end <= 130; end++) {
      for (let start = 0; start <= end; start++) if (isSubtree(start, end)) text += visit(start, end);
    }
    return encodeHex(suite.sha256(encodeUtf8(text)));
  }

  test('subtree hashes', () => {
    const hash = accumulate((start, end) => {
      const made = rootOf(suite, end - start, seenFrom(start));
      if (start === end) expect(encodeHex(made)).toBe(encodeHex(emptyRoot(suite)));
      return `[${start}, ${end}) ${encodeHex(made)}\n`;
    });
    expect(hash).toBe(accumulated.subtree_hash);
  });

  test('subtree inclusion proofs', () => {
    const hash = accumulate((start, end) => {
      let text = '';
      for (let index = start; index < end; index++) {
        const proof = inclusionProof(suite, index - start, end - start, seenFrom(start));
        text += `${[index, `[${start}, ${end})`, ...proof.map(encodeHex)].join(' ')}\n`;
      }
      return text;
    });
    expect(hash).toBe(accumulated.subtree_inclusion_proof);
  });
});

describe.each(SUITES)('tessera golden log on $name', ({ suite }) => {
  function file(name: string): Uint8Array {
    const content = tessera.files_base64[name];
    if (content === undefined) throw new Error(`the golden log has no file ${name}`);
    return decodeBase64(content);
  }

  function checkpoint(name: string): { size: number; root: Uint8Array } {
    const [, size, root] = lines(decodeUtf8(file(name))) as [string, string, string];
    return { size: Number(size), root: decodeBase64(root) };
  }

  /** An entry bundle of c2sp.org/tlog-tiles: each entry after its length, 2 bytes big-endian. */
  function entries(bytes: Uint8Array): Uint8Array[] {
    const out: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      const length = (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
      out.push(bytes.slice(at + 2, at + 2 + length));
      at += 2 + length;
    }
    return out;
  }

  const sizes = Array.from({ length: 16 }, (_, size) => size);

  test.each(sizes)('the root at size %i from its entries and from its tile', (size) => {
    const signed = checkpoint(`checkpoint.${size}`);
    expect(signed.size).toBe(size);
    const leaves = size === 0 ? [] : entries(file(`tile/entries/000.p/${size}`)).map((entry) => leafHash(suite, entry));
    expect(leaves.length).toBe(size);
    if (size > 0) expect(encodeHex(concat(...leaves))).toBe(encodeHex(file(`tile/0/000.p/${size}`)));
    expect(encodeHex(rootOfLeaves(suite, leaves))).toBe(encodeHex(signed.root));
  });

  test('the newest checkpoint is that of size 15', () => {
    expect(checkpoint('checkpoint')).toEqual(checkpoint('checkpoint.15'));
  });

  test('proofs verify against the signed roots', () => {
    const subtree = subtreesOf(
      suite,
      entries(file('tile/entries/000.p/15')).map((entry) => leafHash(suite, entry)),
    );
    for (const size of sizes.slice(1)) {
      const { root } = checkpoint(`checkpoint.${size}`);
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(suite, index, size, subtree);
        verifyInclusion(suite, { index, size, leafHash: subtree(0, index), root, proof });
      }
      for (let size1 = 1; size1 <= size; size1++) {
        const proof = consistencyProof(suite, size1, size, subtree);
        verifyConsistency(suite, { size1, size2: size, root1: checkpoint(`checkpoint.${size1}`).root, root2: root, proof });
      }
    }
  });
});

describe.each(SUITES)('consistency proofs of litewitness requests on $name', ({ suite }) => {
  /** `old <size>`, proof lines, an empty line, the checkpoint. */
  const requests = witness.sequence.map(({ body, status, assert }, i) => {
    const [head, ...rest] = body.split('\n\n') as [string, string];
    const [old, ...proof] = lines(head) as [string];
    const [, size, root] = lines(rest.join('\n\n')) as [string, string, string];
    return {
      name: `${i}: ${old} to ${size}, ${status} ${assert}`,
      status,
      size1: Number(old.slice(4)),
      size2: Number(size),
      root,
      proof,
    };
  });
  const rootAt = new Map(requests.filter(({ status }) => status === 200).map(({ size2, root }) => [size2, decodeBase64(root)]));

  test('nine requests, of which three bring a root', () => {
    expect([requests.length, [...rootAt.keys()]]).toEqual([9, [1, 3, 5]]);
  });

  test.each(requests)('$name', ({ status, size1, size2, root, proof }) => {
    const attempt = (): void =>
      verifyConsistency(suite, {
        size1,
        size2,
        root1: rootAt.get(size1) ?? emptyRoot(suite),
        root2: decodeBase64(root),
        proof: proof.map(decodeBase64),
      });
    // From 0 there is nothing to prove here: the witness answers for that. 403 and 409 say nothing against the proof itself.
    if (size1 === 0) expect(outcome(attempt)).toBe('malformed');
    else expectVerdict({ wantErr: status === 422 }, attempt);
  });
});

describe.each(SUITES)('log of 300 entries on $name', ({ suite }) => {
  const leaves = Array.from({ length: 300 }, (_, i) => leafHash(suite, encodeUtf8(`entry ${i}`)));
  const subtree = subtreesOf(suite, leaves);

  test('root and tile', () => {
    expect(encodeBase64(rootOf(suite, 300, subtree))).toBe(lines(log300.checkpoint)[2]);
    expect(encodeHex(subtree(8, 0))).toBe(log300.tile_1_000_p_1_hex);
  });

  test('inclusion proof of entry 257', () => {
    const [, index, ...rest] = lines(log300.tlog_proof_index_257);
    const proof = rest.slice(0, rest.indexOf(''));
    expect(index).toBe('index 257');
    expect(inclusionProof(suite, 257, 300, subtree).map(encodeBase64)).toEqual(proof);
    const root = decodeBase64(lines(log300.checkpoint)[2] as string);
    verifyInclusion(suite, { index: 257, size: 300, leafHash: subtree(0, 257), root, proof: proof.map(decodeBase64) });
  });
});
