import { plural } from '../program/plural.ts';
import { equal } from '../tlog/bytes.ts';
import { verifyFleetCheckpoint } from '../tlog/checkpoint.ts';
import type { Checkpoint } from '../tlog/checkpoint.ts';
import { verifyCosignature } from '../tlog/cosignature.ts';
import { TlogError } from '../tlog/error.ts';
import { leafHash } from '../tlog/hash.ts';
import { isBy, parseNote } from '../tlog/note.ts';
import type { Note, Signature } from '../tlog/note.ts';
import { fleetLogName } from '../tlog/origin.ts';
import { parseProof, verifyProof } from '../tlog/proof.ts';
import type { Proof } from '../tlog/proof.ts';
import { quorumMet } from '../tlog/quorum.ts';
import type { NoteKey } from '../tlog/vkey.ts';
import { formatSeconds } from './clock.ts';
import { attempt, miss, pass, refuse, skip } from './report.ts';
import type { Sheet } from './report.ts';
import { verifyTimestamp } from './timestamp.ts';
import type { Audit } from './trust.ts';

/** Who saw a fleet checkpoint, and when. */
export interface Sighting {
  /** A witness's name in the trust file, or an RFC 3161 authority's in its certificate. */
  readonly by: string;
  readonly kind: 'witness' | 'timestamp';
  /** Seconds since 1970, maybe with a fraction. */
  readonly time: number;
}

/** A fleet checkpoint, and what was found of it. */
export interface FleetHead extends Checkpoint {
  readonly key: NoteKey;
  readonly sightings: readonly Sighting[];
}

/** Reads a c2sp.org/tlog-proof that holds nothing but what something authenticates. */
export function readProof(text: string): Proof {
  const proof = parseProof(text);
  if (proof.extra !== undefined) {
    throw new TlogError('malformed', 'proof: expected no "extra" line, which nothing authenticates, got one');
  }
  return proof;
}

/** That a receipt stands in the fleet log, and who saw that log since. */
export function checkFleetProof(
  audit: Audit,
  fleet: string,
  { receipt, proof, timestamps }: { receipt: Uint8Array; proof: string; timestamps: readonly Uint8Array[] },
  sheet: Sheet,
): FleetHead | undefined {
  const found = attempt(sheet, 'fleet log', () => {
    const read = readProof(proof);
    return { read, checkpoint: verifyProof(audit.suite, read, leafHash(audit.suite, receipt)) };
  });
  if (found === undefined) return undefined;
  const { read, checkpoint } = found;
  pass(sheet, 'fleet log', `the receipt is leaf ${read.index} of ${checkpoint.size} of ${checkpoint.origin}`);
  return checkFleetCheckpoint(audit, fleet, { note: read.checkpoint, timestamps }, sheet);
}

/** Signature, witnesses and timestamps of a fleet log's checkpoint. */
export function checkFleetCheckpoint(
  audit: Audit,
  fleet: string,
  { note: bytes, timestamps }: { note: Uint8Array; timestamps: readonly Uint8Array[] },
  sheet: Sheet,
): FleetHead | undefined {
  const { suite, policy } = audit;
  const note = attempt(sheet, 'fleet checkpoint', () => parseNote(bytes));
  if (note === undefined) return undefined;
  const logs = policy.logs.filter(({ key }) => key.name === fleetLogName(fleet)).map(({ key }) => key);
  const key = logs.find((candidate) => note.signatures[0] !== undefined && isBy(note.signatures[0], candidate)) ?? logs[0];
  if (key === undefined) {
    miss(sheet, 'fleet checkpoint', `the trust file has no "log" line for ${fleetLogName(fleet)}`);
    return undefined;
  }
  const checkpoint = attempt(sheet, 'fleet checkpoint', () => verifyFleetCheckpoint(suite, bytes, key));
  if (checkpoint === undefined) return undefined;
  pass(sheet, 'fleet checkpoint', `size ${checkpoint.size}, signed by the fleet log's key ${key.name}`);
  const sightings = [...checkWitnesses(audit, note, sheet), ...checkTimestamps(audit, bytes, timestamps, sheet)];
  return { ...checkpoint, key, sightings };
}

/** The trust file asks for witnesses, and there is nothing that one could have signed. */
export function missFleetLog({ policy }: Audit, sheet: Sheet): void {
  const detail = 'the receipt was not shown to be in the fleet log';
  if (policy.quorum === undefined) skip(sheet, 'fleet log', detail);
  else miss(sheet, 'fleet log', `${detail}, and the trust file asks for the quorum ${policy.quorum} of witnesses over it`);
}

function checkWitnesses({ suite, policy }: Audit, note: Note, sheet: Sheet): Sighting[] {
  const sightings: Sighting[] = [];
  for (const line of note.signatures.slice(1)) {
    const witness = policy.witnesses.find(({ key }) => isBy(line, key));
    if (witness === undefined) {
      checkStranger({ policy }, line, sheet);
      continue;
    }
    const what = `witness ${witness.name}`;
    const seen = attempt(sheet, what, () => verifyCosignature(suite, note, witness.key));
    if (seen === undefined) continue;
    pass(sheet, what, `cosigned the fleet checkpoint at ${formatSeconds(seen.time)}`);
    sightings.push({ by: witness.name, kind: 'witness', time: seen.time });
  }
  const names = sightings.map(({ by }) => by);
  if (policy.quorum === undefined) {
    if (policy.witnesses.length > 0) skip(sheet, 'quorum', 'the trust file asks for none');
  } else if (quorumMet(policy, names)) {
    pass(sheet, 'quorum', `${policy.quorum} is met by ${names.join(', ')}`);
  } else {
    miss(
      sheet,
      'quorum',
      `the trust file asks for ${policy.quorum}, cosigned here by ${names.join(', ') || 'nobody'}`,
      'signature',
    );
  }
  return sightings;
}

/** A line by a key that the trust file does not name is nothing (c2sp.org/signed-note), but one that poses as a known key is. */
function checkStranger({ policy }: Pick<Audit, 'policy'>, line: Signature, sheet: Sheet): void {
  const alike = policy.witnesses.find(({ key }) => key.name === line.name || equal(key.keyHash, line.keyHash));
  if (alike === undefined) {
    skip(sheet, `cosignature by ${line.name}`, 'not checked: the trust file has no "witness" line for this key');
  } else {
    refuse(sheet, `witness ${alike.name}`, posing(line, alike.key.name));
  }
}

function posing(line: Signature, name: string): TlogError {
  return new TlogError(
    'signature',
    `note: expected the key of ${name} that the trust file names, got another one's line (${line.name})`,
  );
}

function checkTimestamps({ policy }: Audit, stamped: Uint8Array, timestamps: readonly Uint8Array[], sheet: Sheet): Sighting[] {
  if (timestamps.length === 0) return [];
  if (policy.timestamps.length === 0) {
    skip(sheet, 'timestamps', `${timestamps.length} not checked: the trust file has no "timestamp" line`);
    return [];
  }
  const sightings: Sighting[] = [];
  let strangers = 0;
  for (const [i, response] of timestamps.entries()) {
    const what = `timestamp ${i + 1}`;
    try {
      const { timeMs, authority, unused } = verifyTimestamp(response, stamped, policy.timestamps);
      pass(sheet, what, `over the fleet checkpoint at ${formatSeconds(timeMs / 1000)}, by ${authority}`);
      if (unused > 0)
        skip(
          sheet,
          `${what} certificates`,
          `${unused} not checked: ${plural(unused, 'it is', 'they are')} no part of the chain to the authority`,
        );
      sightings.push({ by: authority, kind: 'timestamp', time: timeMs / 1000 });
    } catch (error) {
      if (error instanceof TlogError && error.code === 'origin') {
        strangers += 1;
        skip(sheet, what, `not checked: ${error.message}`);
      } else {
        refuse(sheet, what, error);
      }
    }
  }
  if (strangers > 0 && sightings.length === 0) miss(sheet, 'timestamps', 'none is by an authority of the trust file', 'origin');
  return sightings;
}
