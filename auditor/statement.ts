import { formatTime } from '../program/clock.ts';
import { plural } from '../program/plural.ts';
import type { Before } from './anchor.ts';
import { formatSeconds } from './clock.ts';
import type { Sighting } from './fleet.ts';
import { quote } from './proven.ts';
import type { Proven } from './proven.ts';
import type { Report, Verdict } from './report.ts';
import type { LogKeys } from './trust.ts';

export type Statement = Pick<Report, 'protectedBy' | 'proves' | 'doesNotProve' | 'speaksUntil'>;

/** Of what was changed, or could not be checked. */
export function emptyStatement(verdict: Verdict): Statement {
  const why =
    verdict === 'tampered' ? 'something in it was changed or forged' : 'something that it rests on could not be checked';
  return { protectedBy: [], proves: [], doesNotProve: [`anything: ${why}`], speaksUntil: 'no time: it proves nothing' };
}

/** Whoever has the identity key can enrol again, where nobody but that key vouches for the enrolment. */
export function limitsOfTrust({ trusted }: LogKeys): string[] {
  const limit =
    'that this is the log as it was first begun: who has the identity key can begin it anew, and only an admission or a note held (--expect) tells';
  return trusted === 'device' ? [limit] : [];
}

/** Of a file that holds what is reported apart from it. */
export function noStatement(): Statement {
  return { protectedBy: [], proves: [], doesNotProve: [], speaksUntil: undefined };
}

/** What evidence proves once all of it was checked and holds, and what it does not. */
export function stateEvidence(proven: Proven, before: Before | undefined): Statement {
  const { head, index } = proven;
  const received = head.isCosigned ? `, receipt of ${formatSeconds(head.time ?? 0)}` : '';
  return {
    protectedBy: protections(proven),
    proves: [...whatItProves(proven), ...noYounger(proven), ...noOlder(proven, before)],
    doesNotProve: limits(proven, before),
    speaksUntil: `entry ${index}, in the log's first ${head.size} ${plural(head.size, 'entry', 'entries')}${received}; it says nothing of what came later`,
  };
}

function protections({ keys, head, seal, isChained, fleet }: Proven): string[] {
  const vouches = keys.trusted === 'fleet' ? 'admitted by the fleet key' : 'named by the trust file';
  const sightings = fleet?.sightings ?? [];
  return [
    `the identity key of ${keys.identity.name}, ${vouches}`,
    ...(head.isCosigned
      ? [`the collector, which signed that it holds the log's first ${head.size} ${plural(head.size, 'entry', 'entries')}`]
      : []),
    ...(isChained
      ? [`the seal chain up to seal ${seal.k}: who took the device over after that seal could not rewrite what it covers`]
      : []),
    ...(fleet === undefined
      ? []
      : [`the fleet log of ${fleet.size} ${plural(fleet.size, 'leaf', 'leaves')}, which has the receipt`]),
    ...sightings.map((sighting) => `${nameOf(sighting)}, which saw that fleet log at ${formatSeconds(sighting.time)}`),
  ];
}

function whatItProves({ keys, index, entry, payloadBytes }: Proven): string[] {
  const payload = payloadBytes === undefined ? 'with a payload that is not here' : `with exactly the payload given here`;
  return [
    `${keys.identity.name} recorded as entry ${index} a message from ${quote(entry.source)} on topic ${quote(entry.topic)}, ${payload}`,
  ];
}

/** Who vouches that the entry existed, and from when on. */
function noYounger({ head, fleet }: Proven): string[] {
  const seen = (fleet?.sightings ?? []).toSorted((a, b) => a.time - b.time);
  return [
    ...seen.map((sighting) => `no younger than ${formatSeconds(sighting.time)}, if ${nameOf(sighting)} is honest`),
    ...(head.isCosigned ? [`no younger than ${formatSeconds(head.time ?? 0)}, if the collector is honest`] : []),
  ];
}

/** Who vouches that the entry did not exist yet, and up to when. */
function noOlder({ index }: Proven, before: Before | undefined): string[] {
  const seen = (before?.sightings ?? []).toSorted((a, b) => b.time - a.time);
  const order = before?.isSameTree === true ? '' : `, and the log goes on from entry ${before?.index ?? 0} to ${index} unchanged`;
  return seen.map((sighting) => `no older than ${formatSeconds(sighting.time)}, if ${nameOf(sighting)} is honest${order}`);
}

function limits(proven: Proven, before: Before | undefined): string[] {
  const { keys, entry, payloadBytes, head, seal, isChained, fleet } = proven;
  const isSeen = (fleet?.sightings.length ?? 0) > 0;
  const clock = entry.clock === 1 ? 'synchronised' : 'not known to be synchronised';
  return [
    'that the message is true, or that the device heard it from whom it says: only what was recorded',
    `its own time, ${formatTime(entry.time)}: what the device's clock showed (${clock})`,
    'that nothing is missing before or after it: only the replay of an export shows a whole log',
    ...limitsOfTrust(keys),
    ...(payloadBytes === undefined ? ['what the payload was: it is not here'] : []),
    ...(isChained
      ? []
      : [`that seal ${seal.k} continues the log's seals: without that, the identity key alone could have made it later`]),
    ...(head.isCosigned ? [] : ['that anyone but the device ever held it: there is no receipt']),
    ...(head.isCosigned && !isSeen
      ? ['when it was there at the latest, if the collector is not honest: no witness or timestamp says so']
      : []),
    ...((before?.sightings.length ?? 0) > 0
      ? []
      : ['when it was recorded at the earliest: no anchor with a witness or timestamp comes before it']),
  ];
}

function nameOf({ kind, by }: Sighting): string {
  return kind === 'witness' ? `the witness ${by}` : `the timestamp authority ${by}`;
}
