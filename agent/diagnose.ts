import { plural } from '../program/plural.ts';
import { roomOf } from './retention.ts';
import { linkTroubles } from './trouble-link.ts';
import { formatCount, type Known, type Trouble } from './trouble.ts';

/** Each thing that is not as it should be, what must be done first of all first. */
export function diagnose(known: Known): Trouble[] {
  const found = [
    ...inService(known),
    ...inRoom(known),
    ...inShed(known),
    ...inKeys(known),
    ...inStore(known),
    ...inLogs(known),
    ...linkTroubles(known),
    ...inClock(known),
  ];
  return found.sort((a, b) => Number(a.level === 'WARN') - Number(b.level === 'WARN'));
}

function inService({ agent, needsAgent }: Known): Trouble[] {
  const about = { part: 'service', since: null } as const;
  if (agent === 'not running') {
    if (!needsAgent) return [];
    const what = 'no agent runs: nothing is captured and nothing is delivered';
    const remedy = 'start it (systemctl start tallystick-agent); if it ends again, journalctl -u tallystick-agent says why';
    return [{ ...about, level: 'FAIL', code: 'not-running', what, remedy }];
  }
  if (agent === 'no answer') {
    const what = 'the running agent does not answer on its socket';
    const remedy = 'look at journalctl -u tallystick-agent; restart it if that says nothing for a minute';
    return [{ ...about, level: 'FAIL', code: 'no-answer', what, remedy }];
  }
  if (agent === 'not asked') {
    if (!needsAgent) return [];
    const what = 'the running agent could not be asked, so its connections and its clock are not known';
    const remedy = 'run this as a user who may use runtime.socket (usermod -aG tallystick USER), and set runtime.socket';
    return [{ ...about, level: 'WARN', code: 'not-asked', what, remedy }];
  }
  const { count, last } = agent.refused;
  if (last === null) return [];
  const what = `${count} ${plural(count, 'message was', 'messages were')} refused since the start, the last because ${last.reason}`;
  const remedy = 'change what is sent: such messages are not recorded; their $agent entries are in the log (topic "refused")';
  return [{ level: 'FAIL', part: 'capture', code: 'messages-refused', what, since: last.at, remedy }];
}

function inRoom({ usage, limits }: Known): Trouble[] {
  const room = roomOf(usage, limits);
  if (room === 'ample') return [];
  const { usedBytes, freeBytes } = usage;
  const { quotaBytes, freeFloorBytes, whenFull } = limits;
  const isFull = room === 'full';
  const about = { level: 'FAIL', part: 'room', since: null } as const;
  const refused = 'messages are refused (no PUBACK, HTTP 507)';
  const result = whenFull === 'refuse' ? refused : `the oldest payloads are shed, and where none are left ${refused}`;
  const consequence = isFull ? result : `soon ${result.replace(/ are /, ' will be ')}`;
  if (roomOf({ ...usage, usedBytes: 0 }, limits) === room) {
    const what = `free space is ${isFull ? 'gone' : 'low'}: ${mib(freeBytes)} are left, ${mib(freeFloorBytes)} are to stay free; ${consequence}`;
    const remedy = 'delete what else fills the disk (journalctl --vacuum-size=100M, old files); never log.db or what begins so';
    return [{ ...about, code: isFull ? 'free-space-gone' : 'free-space-low', what, remedy }];
  }
  const what = `the store is ${isFull ? '' : 'nearly '}full: ${mib(usedBytes)} of ${mib(quotaBytes)} are used, ${percent(usedBytes / quotaBytes)}; ${consequence}`;
  const remedy = 'bring the collector back, so that what it has can be pruned, or raise store.quota_bytes';
  return [{ ...about, code: isFull ? 'full' : 'nearly-full', what, remedy }];
}

/** It can't be mended any more, and whoever needs the payloads has to hear of it. */
function inShed({ shed }: Known): Trouble[] {
  if (shed === null) return [];
  const count = shed.entries === 1 ? 'payload of 1 entry was' : `payloads of up to ${formatCount(shed.entries)} entries were`;
  const what = `the ${count} erased, because the store was full and no collector had them (store.when_full = "shed"); entries, hashes and seals stay`;
  const remedy =
    'bring the collector back or raise store.quota_bytes, so that it does not go on; whoever kept the payloads can still prove them';
  return [{ level: 'WARN', part: 'room', code: 'payloads-shed', what, since: shed.since, remedy }];
}

function inKeys({ keyFaults }: Known): Trouble[] {
  const remedy =
    'nothing recorded is lost; restore the file from a backup only if it is the newest, else leave it: at its next start the agent closes this log and goes on in a new one';
  return keyFaults.map((what) => ({ level: 'FAIL', part: 'keys', code: 'key-lost', what, since: null, remedy }));
}

/** Between two starts; or while a start takes long, as nothing of it is heard yet. */
function inStore({ suspicion, agent }: Known): Trouble[] {
  if (suspicion === null) return [];
  const isRunning = typeof agent !== 'string';
  const what = `the store may be damaged: ${suspicion}; the next start looks through all of it, which may take minutes, and nothing is recorded meanwhile`;
  const remedy = isRunning
    ? 'restart the agent when that suits (systemctl restart tallystick-agent); tallystick-agent repair says what is wrong'
    : 'start the agent, or let it finish: journalctl -u tallystick-agent says what it does; tallystick-agent repair says what is wrong';
  return [{ level: isRunning ? 'WARN' : 'FAIL', part: 'log', code: 'store-suspect', what, since: null, remedy }];
}

/** A log that was closed is a matter for somebody until a collector has admitted the next: from then on all goes on. */
function inLogs({ status, hasUplink, setAside }: Known): Trouble[] {
  const level = hasUplink && !status.admitted ? 'FAIL' : 'WARN';
  const closed = status.closed.map(({ origin, reason, undelivered }): Trouble => {
    const isFork = reason.startsWith('a receipt ');
    const left =
      undelivered === 0
        ? ''
        : `; ${formatCount(undelivered)} of its entries ${plural(undelivered, 'is', 'are')} still to be delivered`;
    return {
      level,
      part: 'log',
      code: isFork ? 'fork' : reason.startsWith('the collector lost ') ? 'collector-lost-data' : 'log-closed',
      what: isFork
        ? `evidence of a fork: ${origin} was closed because ${reason}; a restored card or a copy of this device sealed another history${left}`
        : `${origin} was closed because ${reason}; ${status.origin} continues it${left}`,
      since: null,
      remedy: isFork
        ? 'find out whether the card was restored or copied; both halves are evidence: keep this store, and look at the collector'
        : 'admit the log that continues it, if the collector asks; what was recorded stays provable',
    };
  });
  const aside = setAside.map((name): Trouble => {
    const what = `a previous store lies in the data folder as ${name}`;
    const remedy = 'tallystick-agent repair says what it holds; keep it until that is exported or known to be delivered';
    return { level: 'WARN', part: 'log', code: 'store-set-aside', what, since: null, remedy };
  });
  return [...closed, ...aside];
}

function inClock({ agent }: Known): Trouble[] {
  if (typeof agent === 'string') return [];
  const { isSynchronised, step } = agent.clock;
  const about = { level: 'WARN', part: 'clock' } as const;
  const found: Trouble[] = [];
  if (!isSynchronised) {
    const what = 'the clock is not known to be synchronised; entries say so, and their order stays';
    const remedy = 'see timedatectl, and that a time server can be reached';
    found.push({ ...about, code: 'clock-unsynchronised', what, since: null, remedy });
  }
  if (step !== null) {
    const what = `the clock jumped by ${(step.byMs / 1000).toFixed(1)} s; a $agent entry records it, and the order of entries stays`;
    const remedy = 'nothing, if it was set after the start; if it repeats, see the time service and the battery of the clock';
    found.push({ ...about, code: 'clock-jumped', what, since: step.at, remedy });
  }
  return found;
}

function mib(bytes: number): string {
  return `${formatCount(Math.floor(bytes / 2 ** 20))} MiB`;
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}
