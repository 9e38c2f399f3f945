import { parseSeconds } from '../program/clock.ts';
import { fail, pass, warn, type Finding } from '../program/finding.ts';
import { plural } from '../program/plural.ts';
import { diagnose } from './diagnose.ts';
import type { Live } from './live.ts';
import type { Probed } from './probe.ts';
import { formatCount, type Known, type Part, type Trouble } from './trouble.ts';

/** What doctor asks for itself: undefined where it is not configured, `not tried` where a finding of its own says why not. */
export interface Asked {
  readonly isSynchronised: boolean;
  readonly mqtt: Probed | 'not tried' | undefined;
  readonly uplink: Probed | 'not tried' | undefined;
}

/** Bytes a day: a card of 32 GB that bears 500 rewrites lasts two years and more below it. */
const MUCH_BYTES_A_DAY = 20 * 2 ** 30;
/** Below it nothing can be said of a day. */
const LEAST_SECONDS = 60;
const DAY_SECONDS = 86_400;

/** A line for each part of an agent whose store can be read. */
export function examine(known: Known, asked: Asked): Finding[] {
  const { status, usage, limits, agent } = known;
  const live = typeof agent === 'string' ? undefined : agent;
  const troubles = diagnose(known);
  const about = (part: Part, otherwise: Finding): Finding[] => {
    const found = troubles.filter((trouble) => trouble.part === part);
    return found.length === 0 ? [otherwise] : found.map(toFinding);
  };
  const none = live === undefined ? 'none runs, and nothing is configured that needs one' : `runs since ${live.startedAt}`;
  const mib = (bytes: number): string => `${formatCount(Math.floor(bytes / 2 ** 20))} MiB`;
  const { origin, entries, sealed, seals } = status;
  const log = `${origin}: ${formatCount(entries)} ${plural(entries, 'entry', 'entries')}, ${formatCount(sealed)} under ${formatCount(seals)} ${plural(seals, 'seal')}`;
  return [
    ...about('service', pass('service', none)),
    ...about('log', pass('log', log)),
    ...about('keys', pass('keys', 'the identity key is that of the log, and the next seal can be made')),
    ...about(
      'room',
      pass('room', `${mib(usage.usedBytes)} of ${mib(limits.quotaBytes)} are used, ${mib(usage.freeBytes)} are free`),
    ),
    wear(live?.wear),
    ...(live === undefined ? [clock(asked)] : about('clock', clock(asked))),
    ...about('capture', pass('capture', 'nothing was refused')),
    ...broker('broker of mqtt.url', asked.mqtt),
    ...broker('broker of uplink.url', asked.uplink),
    ...(asked.uplink === undefined ? [] : [...collector(asked.uplink), ...about('collector', receipt(known))]),
    ...troubles.filter(({ part }) => part === 'uplink').map(toFinding),
  ];
}

function toFinding({ level, part, what, since, remedy }: Trouble): Finding {
  const detail = `${what}${since === null ? '' : `, since ${since}`}; ${remedy}`;
  return level === 'FAIL' ? fail(part, detail) : warn(part, detail);
}

/** Whether the agent writes more than a card bears. */
function wear(measured: Live['wear'] | undefined): Finding {
  const what = 'wear of the disk';
  if (measured === undefined) return warn(what, 'not measured, as no agent runs that could be asked; run this beside it');
  const { bytes, entries, seconds } = measured;
  if (bytes === null) return warn(what, 'not known: the system does not say what the agent writes (/proc/self/io)');
  if (entries === 0 || seconds < LEAST_SECONDS) return pass(what, 'nothing to tell yet: ask a minute after the start');
  const daily = (bytes / seconds) * DAY_SECONDS;
  const told = `${formatCount(Math.round(bytes / entries))} bytes written per entry, ${(daily / 2 ** 30).toFixed(2)} GiB a day, over ${formatCount(seconds)} s; what file system and card add is not counted`;
  if (daily <= MUCH_BYTES_A_DAY) return pass(what, told);
  return warn(what, `${told}; raise commit.max_delay_ms and commit.max_entries, or use a disk made for it`);
}

function clock({ isSynchronised }: Asked): Finding {
  if (isSynchronised) return pass('clock', 'is synchronised');
  return warn('clock', 'is not known to be synchronised; see timedatectl, and that a time server can be reached');
}

function broker(what: string, probed: Asked['mqtt']): Finding[] {
  if (probed === 'not tried') return [];
  if (probed === undefined) return [pass(what, 'none is configured')];
  if (probed.isSubscribed) return [pass(what, 'lets us connect and subscribe')];
  return [fail(what, `${probed.reason}; see that it runs, the network, user, password, certificates and rights`)];
}

function collector(probed: Probed | 'not tried'): Finding[] {
  if (probed === 'not tried') return [];
  const { isSubscribed, wasAnswered, reason } = probed;
  if (wasAnswered) return [pass('collector', 'answers')];
  const why = isSubscribed ? reason : 'it can not be asked, as its broker is not to be had';
  return [fail('collector', `${why}; see that it runs and is subscribed at this broker, and uplink.collector_key and fleet_key`)];
}

function receipt({ status, nowSeconds }: Known): Finding {
  const { sealed, receipted, receiptedAt, entries } = status;
  if (receiptedAt === null) return pass('receipt', `none yet${sealed === 0 ? ', and none is due' : ''}`);
  const age = Math.max(0, Math.round(nowSeconds - parseSeconds(receiptedAt)));
  return pass(
    'receipt',
    `the newest is ${formatCount(age)} s old and covers ${formatCount(receipted)} of ${formatCount(entries)} ${plural(entries, 'entry', 'entries')}`,
  );
}
