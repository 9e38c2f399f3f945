import type { Code } from '../../tlog/error.ts';
import { encodeHex } from '../../tlog/bytes.ts';

export type Json = string | number | null | readonly Json[] | { readonly [key: string]: Json };

export const KINDS = [
  'cbor',
  'checkpoint',
  'ed25519',
  'enrolment',
  'admission',
  'entry',
  'evidence',
  'export',
  'fleet-checkpoint',
  'leaf-hash',
  'log-id',
  'note',
  'origin',
  'payload-hash',
  'proof',
  'receipt',
  'seal',
  'segment',
  'state',
  'vkey',
] as const;

export type Kind = (typeof KINDS)[number];

/** One file: see README.md, "A file". */
export interface Vector {
  readonly description: string;
  readonly kind: Kind;
  readonly input: { readonly hex: string } | { readonly text: string };
  readonly context: Record<string, Json>;
  readonly expect: 'ok' | Code;
  /** With `ok`: what comes of the input. */
  readonly output?: Json;
}

/** A vector as it is written down here: text stays text, bytes become hexadecimal. */
export interface Case {
  readonly name: string;
  readonly description: string;
  readonly input: Uint8Array | string;
  readonly context?: Record<string, Json>;
  readonly expect: 'ok' | Code;
  readonly output?: Json;
}

/** By the path of its file. */
export function vectorsOf(kind: Kind, cases: readonly Case[]): [path: string, vector: Vector][] {
  return cases.map(({ name, description, input, context = {}, expect, output }) => [
    `${kind}/${name}.json`,
    {
      description,
      kind,
      input: typeof input === 'string' ? { text: input } : { hex: encodeHex(input) },
      context,
      expect,
      ...(output === undefined ? {} : { output }),
    },
  ]);
}

export function formatVector(vector: Vector): string {
  return `${JSON.stringify(vector, null, 2)}\n`;
}
