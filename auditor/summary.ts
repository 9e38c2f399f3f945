import { formatTime } from '../program/clock.ts';
import { plural } from '../program/plural.ts';
import { formatSeconds } from './clock.ts';
import { writeHeld } from './expect.ts';
import type { HeldOutcome } from './expect.ts';
import type { LogReplay } from './log.ts';
import { formatRange } from './ranges.ts';
import { lack, miss, pass, skip, verdictOf } from './report.ts';
import type { Report, Sheet, Verdict } from './report.ts';
import { emptyStatement, limitsOfTrust } from './statement.ts';
import type { Statement } from './statement.ts';
import { missCollector } from './trust.ts';

/** Writes down what a replayed log comes to, and what that proves. Its troubles stand in the sheet already. */
export function reportLog(log: LogReplay, sheet: Sheet): Report {
  writeEntries(log, sheet);
  writeSeals(log, sheet);
  writePayloads(log, sheet);
  writeNotes(log, sheet);
  for (const outcome of log.outcomes) writeOutcome(log, outcome, sheet);
  const verdict = verdictOf(sheet.checks);
  const isProven = verdict === 'intact' || verdict === 'incomplete';
  return {
    subject: `log ${log.keys.identity.name}`,
    checks: sheet.checks,
    ...(isProven ? stateLog(log, verdict) : emptyStatement(verdict)),
  };
}

function writeEntries(log: LogReplay, sheet: Sheet): void {
  const { start, size, entries, sealed } = log;
  const isWell = sheet.checks.every(({ status, what }) => status !== 'FAIL' || !what.startsWith('entr'));
  if (isWell && entries > 0) {
    pass(
      sheet,
      'entries',
      `${entries} (${formatRange(start, size - 1)}), each follows the one before and has the leaf hash stated`,
    );
  }
  if (start > 0)
    lack(
      sheet,
      'entries',
      `${formatRange(0, start - 1)} ${plural(start, 'is', 'are')} not here: the export begins with entry ${start}`,
    );
  if (entries === 0) lack(sheet, 'entries', 'there are none');
  const unsealed = sealed?.size ?? start;
  if (isWell && unsealed < size) {
    const who = (log.newest.checkpoint?.size ?? 0) >= size ? 'who holds the identity key' : 'anybody';
    lack(
      sheet,
      'entries',
      `${formatRange(unsealed, size - 1)} ${plural(size - unsealed, 'is', 'are')} under no seal: ${who} could have written ${plural(size - unsealed, 'it', 'them')}`,
    );
  }
  if (log.uncompared > 0) {
    skip(sheet, 'roots', `${log.uncompared} not compared: entries before them are missing or not those that were signed`);
  }
}

function writeSeals({ seals, sealed, keys }: LogReplay, sheet: Sheet): void {
  if (seals.count === 0 || seals.first === undefined || !seals.isUnbroken) return;
  const range = formatRange(seals.first, seals.first + seals.count - 1);
  const over = sealed === undefined ? '' : `, the last over the first ${sealed.size} ${plural(sealed.size, 'entry', 'entries')}`;
  pass(sheet, 'seals', `${seals.count} (${range}), each signed by the key that the one before names${over}`);
  if (seals.isAnchored) {
    pass(sheet, 'seal chain', `begins with the key of seal 0 that the enrolment of ${keys.identity.name} names`);
  } else {
    const earlier = `${plural(seals.first, 'seal')} ${formatRange(0, seals.first - 1)} ${plural(seals.first, 'is', 'are')} not here`;
    lack(sheet, 'seal chain', `${earlier}, so that the key of seal ${seals.first} is not shown to be the log's`);
  }
}

function writePayloads({ payloads }: LogReplay, sheet: Sheet): void {
  const { verified, large, erased, silent } = payloads;
  if (verified > 0)
    pass(sheet, 'payloads', `${verified} ${plural(verified, 'has the hash in its entry', 'have the hash in their entry')}`);
  if (large > 0)
    skip(
      sheet,
      'payloads',
      `${large} ${plural(large, 'was', 'were')} too large to be kept: whoever has one can show it by its salt`,
    );
  for (const [reason, ranges] of erased) {
    const why = `the export gives the reason ${JSON.stringify(reason)}`;
    lack(
      sheet,
      'payloads',
      `${ranges.count} erased, of ${plural(ranges.count, 'entry', 'entries')} ${ranges.toString()} (${why})`,
    );
  }
  if (silent.count > 0) {
    const which = `${plural(silent.count, 'entry', 'entries')} ${silent.toString()}`;
    lack(sheet, 'payloads', `${silent.count} not here, and the export does not say why, of ${which}`);
  }
}

function writeNotes(log: LogReplay, sheet: Sheet): void {
  const { counts, newest, keys } = log;
  if (counts.checkpoint > 0) {
    pass(
      sheet,
      'checkpoints',
      `${counts.checkpoint}, signed by the identity key, the newest of size ${newest.checkpoint?.size ?? 0}`,
    );
  }
  const { receipt } = newest;
  if (receipt === undefined) {
    skip(sheet, 'receipts', 'there are none: no collector has signed that it holds any of this');
  } else if (receipt.isCosigned) {
    const time = formatSeconds(receipt.time ?? 0);
    pass(sheet, 'receipts', `${counts.receipt}, signed by the collector, the newest of size ${receipt.size} at ${time}`);
  } else {
    missCollector(sheet, keys);
  }
}

function writeOutcome(log: LogReplay, { held, outcome }: HeldOutcome, sheet: Sheet): void {
  const { path, checkpoint } = held;
  const what = `expected ${path}`;
  if (outcome === 'log is shorter') {
    lack(
      sheet,
      what,
      `you hold size ${checkpoint.size}, and here the log ends after ${log.size} ${plural(log.size, 'entry', 'entries')}: later ones were cut off`,
      'rollback',
    );
  } else if (outcome !== 'unknown') {
    writeHeld(held, outcome, sheet);
  } else if (checkpoint.size < log.start) {
    miss(sheet, what, `you hold size ${checkpoint.size}, and the export begins with entry ${log.start}`);
  } else {
    skip(sheet, what, `not compared: entries before size ${checkpoint.size} are missing or not those that were signed`);
  }
}

function stateLog(log: LogReplay, verdict: Verdict): Statement {
  const { keys, sealed, newest, outcomes, start, size, last, seals } = log;
  const { receipt } = newest;
  const received =
    receipt === undefined
      ? ''
      : `, receipt of ${receipt.size} ${plural(receipt.size, 'entry', 'entries')} at ${formatSeconds(receipt.time ?? 0)}`;
  const own = last === undefined ? '' : ` (by its own clock ${formatTime(last.fields.time)})`;
  const matched = outcomes.filter(({ outcome }) => outcome === 'same').map(({ held }) => held);
  return {
    protectedBy: [
      `the identity key of ${keys.identity.name}, ${keys.trusted === 'fleet' ? 'admitted by the fleet key' : 'named by the trust file'}`,
      ...(sealed === undefined || !seals.isAnchored
        ? []
        : [
            `the seal chain, up to entry ${sealed.size - 1}: who took the device over after seal ${sealed.k} could rewrite none of it`,
          ]),
      ...(receipt === undefined
        ? []
        : [`the collector, which signed that it holds the first ${receipt.size} ${plural(receipt.size, 'entry', 'entries')}`]),
      ...matched.map(
        ({ path, checkpoint }) =>
          `the note that you hold of the first ${checkpoint.size} ${plural(checkpoint.size, 'entry', 'entries')}, ${path}`,
      ),
    ],
    proves: [
      ...(size > start
        ? [
            `${keys.identity.name} recorded ${plural(size - start, 'entry', 'entries')} ${formatRange(start, size - 1)} in this order${verdict === 'intact' ? '' : ', but for what the FAIL lines name'}`,
          ]
        : []),
      ...(receipt === undefined
        ? []
        : [
            `the first ${receipt.size} ${plural(receipt.size, 'is', 'are')} no younger than ${formatSeconds(receipt.time ?? 0)}, if the collector is honest`,
          ]),
    ],
    doesNotProve: [
      'that the messages are true, or that the device heard them from whom it says: only what was recorded',
      "the entries' own times: what the device's clock showed",
      `that the log ends with entry ${size - 1}: what came later, or was cut off, shows only against a receipt that you hold (--expect)`,
      ...limitsOfTrust(keys),
      ...(receipt === undefined ? ['that anyone but the device ever held any of it: there is no receipt'] : []),
    ],
    speaksUntil: `entry ${size - 1}${own}${sealed === undefined ? ', unsealed' : `, seal ${sealed.k}`}${received}`,
  };
}
