import { parseSeconds } from '../program/clock.ts';
import { isRefusedUs } from '../program/mqtt-error.ts';
import { plural } from '../program/plural.ts';
import { logNotTaken, reasonNotTaken } from './connection.ts';
import { formatCount, type Known, type Trouble, type Waiting } from './trouble.ts';

/** A broker that restarts, a router that reboots: nobody has to come for that. */
const UNCONNECTED_SECONDS = 900;
/** Of a fingerprint in groups of four: the first 16 digits, by which the collector knows it too. */
const SHORT = 19;
/** Sealed entries that no receipt covers for so long are not just on their way. */
const WAITING_SECONDS = 3600;

/** What is wrong on the way from the machines, and to the collector. */
export function linkTroubles(known: Known): Trouble[] {
  const { agent, hasUplink } = known;
  const live = typeof agent === 'string' ? undefined : agent;
  const found: Trouble[] = [];
  if (live?.mqtt?.isUp === false) {
    const { since, reason } = live.mqtt;
    found.push({
      level: isRefusedUs(reason) ? 'FAIL' : levelAfter(known, since, UNCONNECTED_SECONDS),
      part: 'capture',
      code: 'capture-not-connected',
      what: `the gateway's broker is not connected${because(reason)}`,
      since,
      remedy: 'see that the broker of mqtt.url runs, and user, password and rights; it keeps messages of QoS 1 until then',
    });
  }
  if (live?.mqtt?.trouble) {
    const { since, what } = live.mqtt.trouble;
    const remedy = 'give the user of mqtt.username the right to read them, or take them out of mqtt.filters';
    found.push({ level: 'FAIL', part: 'capture', code: 'filters-refused', what, since, remedy });
  }
  if (!hasUplink) return found;
  if (live?.uplink?.isUp === false) {
    const { since, reason } = live.uplink;
    found.push({
      level: isRefusedUs(reason) ? 'FAIL' : levelAfter(known, since, UNCONNECTED_SECONDS),
      part: 'uplink',
      code: 'uplink-not-connected',
      what: `the broker on the way to the collector is not connected${because(reason)}`,
      since,
      remedy: isRefusedUs(reason)
        ? 'see uplink.username and uplink.password_file, or uplink.cert_file and uplink.key_file, and the rights there of that user; nothing is lost meanwhile'
        : 'see the network, uplink.url, user and password; nothing is lost meanwhile, all is delivered later',
    });
  } else if (live?.uplink?.trouble && !isOfAdmission(live.uplink.trouble.what, known)) {
    const { since, what } = live.uplink.trouble;
    found.push({
      level: levelAfter(known, since, UNCONNECTED_SECONDS),
      part: 'collector',
      code: 'not-delivered',
      what,
      since,
      remedy: remedyOf(what),
    });
  }
  return [...found, ...inDelivery(known), ...inClosedLogs(known)];
}

/** The collector's key is right where what it says of a log was heard. */
function remedyOf(what: string): string {
  if (logNotTaken(what) === undefined) {
    return 'see that the collector runs and is subscribed at this broker, and that uplink.collector_key is its key';
  }
  return 'on the collector see what tallystick-collector devices says of this log; nothing is lost meanwhile';
}

/** Whether it is what `not-admitted` says, with the same remedy. */
function isOfAdmission(what: string, { status }: Known): boolean {
  return !status.admitted && logNotTaken(what) === status.origin;
}

/** The collector does not know a device before it was connected. */
function approval({ agent }: Known, fingerprint: string): string {
  const command = `tallystick-collector devices approve ${fingerprint.slice(0, SHORT)}`;
  const isDown = typeof agent !== 'string' && agent.uplink?.isUp === false;
  return isDown
    ? 'the collector may hear of it only once the broker is connected; then an operator can compare the fingerprint and approve it'
    : `on the collector compare the fingerprint and run: ${command}`;
}

function inDelivery(known: Known): Trouble[] {
  const { status, fingerprint, onceReceipted, agent } = known;
  const uplink = typeof agent === 'string' ? null : agent.uplink;
  const { origin, notAcceptedSince: since } = status;
  const waiting = status.sealed - status.receipted;
  const found: Trouble[] = [];
  if (!status.admitted) {
    // Where the broker lets nobody through, the collector has heard of no log.
    if (uplink?.isUp === false && isRefusedUs(uplink.reason)) return found;
    const heard = uplink?.isUp === true ? uplink.trouble?.what : undefined;
    const why = heard !== undefined && isOfAdmission(heard, known) ? because(reasonNotTaken(heard)) : '';
    found.push({
      level: 'FAIL',
      part: 'collector',
      code: 'not-admitted',
      what: `${origin} is not admitted by the collector${why}; its fingerprint is ${fingerprint}`,
      since: null,
      remedy: approval(known, fingerprint),
    });
  } else if (since !== null && known.nowSeconds - parseSeconds(since) > WAITING_SECONDS) {
    found.push({
      level: 'FAIL',
      part: 'collector',
      code: 'no-receipt',
      what: `${formatCount(waiting)} sealed ${plural(waiting, 'entry waits', 'entries wait')} for a receipt`,
      since,
      remedy: 'tallystick-agent doctor says whether broker and collector answer; nothing is lost meanwhile',
    });
  }
  if (onceReceipted !== null) {
    found.push({
      level: 'WARN',
      part: 'collector',
      code: 'collector-lost-data',
      what: `the collector lost data: it held ${formatCount(onceReceipted)} ${plural(onceReceipted, 'entry', 'entries')} or more once, and now ${formatCount(status.receipted)}`,
      since: status.receiptedAt,
      remedy: 'it is sent again what is still here; find out on the collector why its store is older than its receipts',
    });
  }
  return found;
}

/** Of a log that goes on the same is said at once; of one that was closed who looks has heard already, and it may be on its way. */
function inClosedLogs(known: Known): Trouble[] {
  return known.waiting
    .filter(({ since }) => known.nowSeconds - parseSeconds(since) > WAITING_SECONDS)
    .map((log) => inClosedLog(known, log));
}

function inClosedLog(known: Known, { origin, entries, since, fingerprint }: Waiting): Trouble {
  const about = { level: 'FAIL', part: 'collector', since } as const;
  const count = `${formatCount(entries)} sealed entries of ${origin}, which was closed, wait for a receipt`;
  if (fingerprint !== null) {
    const what = `${count}: it is not admitted by the collector; its fingerprint is ${fingerprint}`;
    return { ...about, code: 'not-admitted', what, remedy: approval(known, fingerprint) };
  }
  const remedy =
    'tallystick-agent doctor says whether broker and collector answer; if the collector holds another log by this name, keep an export';
  return { ...about, code: 'no-receipt', what: count, remedy };
}

function levelAfter({ nowSeconds }: Known, since: string, seconds: number): Trouble['level'] {
  return nowSeconds - parseSeconds(since) > seconds ? 'FAIL' : 'WARN';
}

function because(reason: string | null): string {
  return reason === null ? '' : `: ${reason}`;
}
