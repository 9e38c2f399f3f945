import { decodeBase64, encodeHex, parseDecimal } from './bytes.ts';
import { TlogError } from './error.ts';
import { checkFleet, collectorName, identityOrigin } from './origin.ts';
import type { Suite } from './suite.ts';
import { COSIGNATURE, ED25519, parseVkey } from './vkey.ts';
import type { Algorithm, CosignerKey, NoteKey, VerifierKey } from './vkey.ts';

const MAX_CHARACTERS = 1_048_576;
const NONE = 'none';
const USAGE =
  '"log <vkey> [<url>]", "witness <name> <vkey> [<url>]", "group <name> all|any|<k> <name>...", "quorum <name>|none", ' +
  '"fleet <vkey>", "collector <vkey>", "device <vkey>", "timestamp <base64>" or "# comment"';

export interface PolicyLog {
  readonly key: NoteKey;
  readonly url: string | undefined;
}

export interface PolicyWitness {
  /** Of this file only: what groups and the quorum call it. */
  readonly name: string;
  readonly key: CosignerKey;
  readonly url: string | undefined;
}

/** Witnesses a checkpoint iff at least `threshold` of its members do. */
export interface PolicyGroup {
  readonly name: string;
  readonly threshold: number;
  /** Witnesses, and groups of preceding lines. */
  readonly members: readonly string[];
}

/** Whom an auditor believes what. */
export interface Policy {
  readonly logs: readonly PolicyLog[];
  readonly witnesses: readonly PolicyWitness[];
  /** In the order of the file: each refers to earlier ones only. */
  readonly groups: readonly PolicyGroup[];
  /** A witness or a group; undefined where no cosignature is asked for. */
  readonly quorum: string | undefined;
  /** They admit devices. */
  readonly fleets: readonly NoteKey[];
  /** They cosign receipts. */
  readonly collectors: readonly CosignerKey[];
  /** Identity keys that are trusted without an admission. */
  readonly devices: readonly NoteKey[];
  /** DER certificates of RFC 3161 authorities. */
  readonly timestamps: readonly Uint8Array[];
}

/**
 * A trust file: c2sp.org/tlog-policy, and the four kinds of lines an auditor of this format needs besides.
 *
 *     log <vkey> [<url>]                    a fleet log
 *     witness <name> <vkey> [<url>]
 *     group <name> all|any|<k> <name>...
 *     quorum <name>|none                    at most once; none if it is left out
 *     fleet <vkey>                          named <fleet>: admits devices
 *     collector <vkey>                      named <fleet>/collector, a cosignature key: signs receipts
 *     device <vkey>                         an identity key, trusted directly
 *     timestamp <base64 DER certificate>    an RFC 3161 authority
 *     # comment
 *
 * Words are parted by spaces and tabs, empty lines ignored. A key has one role: no public key stands in the file twice.
 * Throws `limit`, `malformed` or `origin` with the number of the line.
 */
export function parsePolicy(suite: Suite, text: string): Policy {
  if (text.length > MAX_CHARACTERS) {
    throw new TlogError('limit', `trust file: expected at most ${MAX_CHARACTERS} characters, got ${text.length}`);
  }
  const draft = emptyDraft();
  for (const [i, line] of text.split('\n').entries()) {
    try {
      readLine(suite, draft, line);
    } catch (error) {
      if (error instanceof TlogError) throw new TlogError(error.code, `trust file, line ${i + 1}: ${error.message}`);
      throw error;
    }
  }
  const { logs, witnesses, groups, quorum, fleets, collectors, devices, timestamps } = draft;
  return { logs, witnesses, groups, quorum: quorum === NONE ? undefined : quorum, fleets, collectors, devices, timestamps };
}

interface Draft {
  readonly logs: PolicyLog[];
  readonly witnesses: PolicyWitness[];
  readonly groups: PolicyGroup[];
  quorum: string | undefined;
  readonly fleets: NoteKey[];
  readonly collectors: CosignerKey[];
  readonly devices: NoteKey[];
  readonly timestamps: Uint8Array[];
  /** Public keys and certificates so far, in hexadecimal. */
  readonly keys: Set<string>;
  /** Of witnesses and groups so far. */
  readonly names: Set<string>;
  /** Names that are members of a group: each may be one once, so that a witness counts in one way only. */
  readonly members: Set<string>;
}

function emptyDraft(): Draft {
  const lists = { logs: [], witnesses: [], groups: [], fleets: [], collectors: [], devices: [], timestamps: [] };
  return { ...lists, quorum: undefined, keys: new Set(), names: new Set(), members: new Set() };
}

function readLine(suite: Suite, draft: Draft, line: string): void {
  const [control] = /[^\t -~\u{80}-\u{10ffff}]/u.exec(line) ?? [];
  if (control !== undefined) throw refuse('no control character but tab, and LF at the end', control);
  const [kind, ...words] = line.split(/[ \t]+/).filter((word) => word !== '');
  if (kind === undefined || kind.startsWith('#')) return;
  const [first = '', second = '', ...more] = words;
  switch (`${kind} ${words.length}`) {
    case 'log 1':
    case 'log 2':
      draft.logs.push({ key: readKey(suite, draft, first, ED25519), url: words[1] });
      return;
    case 'witness 2':
    case 'witness 3':
      addName(draft, first);
      draft.witnesses.push({ name: first, key: readKey(suite, draft, second, COSIGNATURE), url: words[2] });
      return;
    case 'quorum 1':
      if (draft.quorum !== undefined) throw refuse('one quorum line', line);
      if (first !== NONE) checkName(draft, first);
      draft.quorum = first;
      return;
    case 'fleet 1': {
      const key = readKey(suite, draft, first, ED25519);
      checkFleet(key.name);
      draft.fleets.push(key);
      return;
    }
    case 'collector 1':
      draft.collectors.push(readCollector(suite, draft, first));
      return;
    case 'device 1': {
      const key = readKey(suite, draft, first, ED25519);
      identityOrigin(suite, key);
      draft.devices.push(key);
      return;
    }
    case 'timestamp 1':
      draft.timestamps.push(readCertificate(draft, first));
      return;
    default:
      if (kind !== 'group' || more.length === 0) throw refuse(USAGE, line);
      readGroup(draft, first, second, more);
  }
}

function readGroup(draft: Draft, name: string, rule: string, members: readonly string[]): void {
  for (const member of members) {
    checkName(draft, member);
    if (draft.members.has(member)) throw refuse('each name to be a member once', member);
    draft.members.add(member);
  }
  const threshold = rule === 'all' ? members.length : rule === 'any' ? 1 : parseDecimal(rule, 'group threshold');
  if (threshold < 1 || threshold > members.length) throw refuse(`a threshold from 1 to ${members.length}`, rule);
  addName(draft, name);
  draft.groups.push({ name, threshold, members });
}

function readKey<A extends Algorithm>(suite: Suite, draft: Draft, vkey: string, algorithm: A): VerifierKey<A> {
  const key = parseVkey(suite, vkey, algorithm);
  addKey(draft, key.publicKey, vkey);
  return key;
}

function readCollector(suite: Suite, draft: Draft, vkey: string): CosignerKey {
  const key = readKey(suite, draft, vkey, COSIGNATURE);
  const [fleet = ''] = key.name.split('/');
  checkFleet(fleet);
  if (key.name !== collectorName(fleet)) throw refuse(`a key named ${collectorName(fleet)}`, key.name);
  return key;
}

/** Only told apart from what is no DER sequence; whoever checks timestamps reads it. */
function readCertificate(draft: Draft, base64: string): Uint8Array {
  const certificate = decodeBase64(base64);
  if (certificate[0] !== 0x30) throw refuse('the base64 of a DER certificate', base64);
  addKey(draft, certificate, base64);
  return certificate;
}

function addKey(draft: Draft, key: Uint8Array, text: string): void {
  const hex = encodeHex(key);
  if (draft.keys.has(hex)) throw refuse('each key once', text);
  draft.keys.add(hex);
}

function addName(draft: Draft, name: string): void {
  if (name === NONE || draft.names.has(name)) throw refuse(`a new name and not "${NONE}"`, name);
  draft.names.add(name);
}

function checkName(draft: Draft, name: string): void {
  if (!draft.names.has(name)) throw refuse('a witness or group of a line before', name);
}

function refuse(expected: string, got: string): TlogError {
  return new TlogError('malformed', `expected ${expected}, got ${JSON.stringify(got.slice(0, 120))}`);
}
