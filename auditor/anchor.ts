import { decodeBase64, decodeUtf8, encodeBase64, encodeUtf8, equal } from '../tlog/bytes.ts';
import { AGENT_SOURCE } from '../tlog/entry.ts';
import { TlogError } from '../tlog/error.ts';
import type { Evidence } from '../tlog/evidence.ts';
import { checkFleetCheckpoint } from './fleet.ts';
import type { Sighting } from './fleet.ts';
import { attempt, holds, pass, skip } from './report.ts';
import type { Sheet } from './report.ts';
import { checkProven } from './proven.ts';
import type { EvidenceAudit, Proven } from './proven.ts';

const TOPIC = 'anchor';

/**
 * What a device wrote down of a fleet checkpoint it had checked, the payload of an `anchor` entry: exactly the `JSON.stringify` of
 *
 *     {"checkpoint":"acme.example/log\n…","timestamps":["<base64 TimeStampResp over the checkpoint note>"]}
 */
export interface Anchor {
  readonly checkpoint: Uint8Array;
  readonly timestamps: readonly Uint8Array[];
}

/** Throws `malformed` on any other spelling. */
export function parseAnchor(payload: Uint8Array): Anchor {
  const text = decodeUtf8(payload);
  const { checkpoint, timestamps } = parseFields(text);
  const anchor = { checkpoint: encodeUtf8(checkpoint), timestamps: timestamps.map(decodeBase64) };
  if (JSON.stringify({ checkpoint, timestamps: anchor.timestamps.map(encodeBase64) }) !== text) throw refuse(text);
  return anchor;
}

function parseFields(text: string): { checkpoint: string; timestamps: string[] } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refuse(text);
  }
  if (typeof value !== 'object' || value === null || !('checkpoint' in value) || !('timestamps' in value)) throw refuse(text);
  const { checkpoint, timestamps } = value;
  if (typeof checkpoint !== 'string' || !Array.isArray(timestamps)) throw refuse(text);
  const texts = timestamps.filter((item): item is string => typeof item === 'string');
  if (texts.length !== timestamps.length) throw refuse(text);
  return { checkpoint, timestamps: texts };
}

function refuse(text: string): TlogError {
  return new TlogError(
    'malformed',
    `anchor: expected {"checkpoint":…,"timestamps":[…]}, got ${JSON.stringify(text.slice(0, 60))}`,
  );
}

/** What an anchor before an entry says of the time after which the entry was recorded. */
export interface Before {
  readonly index: number;
  /** Who saw the fleet checkpoint that the anchor names. */
  readonly sightings: readonly Sighting[];
  /** Whether anchor and entry were shown to stand in one tree. */
  readonly isSameTree: boolean;
}

/** Checks `after`: the proof of an anchor, and what the anchor names. Undefined where a part failed or is not there. */
export function checkAnchor(audit: EvidenceAudit, after: Evidence, entry: Proven | undefined, sheet: Sheet): Before | undefined {
  const anchor = checkProven(audit, after, sheet);
  if (anchor === undefined || entry === undefined) return undefined;
  if (!holds(sheet, 'place', () => checkPlace(anchor, entry))) return undefined;
  pass(sheet, 'place', `entry ${anchor.index} is an anchor of the same log, before entry ${entry.index}`);
  const isSameTree = anchor.head.size === entry.head.size && equal(anchor.head.root, entry.head.root);
  if (!isSameTree) {
    const sizes = `the tree of size ${anchor.head.size} is the beginning of that of size ${entry.head.size}`;
    skip(sheet, 'order', `not checked: that ${sizes} is the word of those who signed both; a replay of an export shows it`);
  }
  if (after.payload === null) {
    skip(sheet, 'anchor', 'its payload is not here: it says nothing of when the entry was recorded');
    return undefined;
  }
  const payload = after.payload;
  const named = attempt(sheet, 'anchor', () => parseAnchor(payload));
  if (named === undefined) return undefined;
  const { checkpoint: note, timestamps } = named;
  const head = checkFleetCheckpoint(audit, entry.keys.fleet, { note, timestamps }, { ...sheet, prefix: `${sheet.prefix}named ` });
  return head === undefined ? undefined : { index: anchor.index, sightings: head.sightings, isSameTree };
}

function checkPlace(anchor: Proven, entry: Proven): void {
  if (!equal(anchor.keys.logId, entry.keys.logId)) {
    throw new TlogError(
      'origin',
      `anchor: expected an entry of ${entry.keys.identity.name}, got one of ${anchor.keys.identity.name}`,
    );
  }
  if (anchor.index >= entry.index) {
    throw new TlogError('mismatch', `anchor: expected an index under ${entry.index}, got ${anchor.index}`);
  }
  if (anchor.entry.source !== AGENT_SOURCE || anchor.entry.topic !== TOPIC) {
    throw new TlogError('mismatch', `anchor: expected source ${AGENT_SOURCE} and topic ${TOPIC}, got another entry`);
  }
  // Two roots for one size, both validly signed, are a fork whatever else is right.
  if (anchor.head.size === entry.head.size && !equal(anchor.head.root, entry.head.root)) {
    throw new TlogError('fork', `anchor: expected the entry's root at size ${entry.head.size}, got another`);
  }
}
