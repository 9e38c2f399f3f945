import type { Command } from 'commander';
import { printResult } from '../program/command.ts';
import { EXIT, Failure } from '../program/failure.ts';
import { describeFindings } from '../program/finding.ts';
import { native } from '../program/native.ts';
import { writeEvidence, writeExport } from '../program/output.ts';
import { plural } from '../program/plural.ts';
import { startProgress } from '../program/progress.ts';
import { visible } from '../program/visible.ts';
import { encodeBase64 } from '../tlog/bytes.ts';
import { formatEvidence } from '../tlog/evidence.ts';
import { formatSeconds } from './clock.ts';
import { compareKeys, loadConfig, reading, storePath, type Context } from './context.ts';
import { exportLog } from './export.ts';
import { whyStopped } from './fleet-standing.ts';
import { makeEvidence } from './proof.ts';
import type { LogRow } from './row.ts';
import type { Store } from './store.ts';
import { verifyStore } from './verify-store.ts';

export async function verify(_: object, command: Command, context: Context): Promise<void> {
  const { terminal, nowMs } = context;
  const { values } = loadConfig(command, context);
  await reading(values, (store) => {
    const total = store.logs.all().reduce((sum, { size }) => sum + size, 0);
    const progress = startProgress({ stream: terminal.stderr, label: 'verify', unit: 'entries', total, nowMs });
    const { ok, json, text } = describeFindings([
      compareKeys(store, values),
      ...verifyStore(native, store, (done) => {
        progress.update(done);
      }),
    ]);
    progress.end();
    if (!ok) terminal.exitCode = EXIT.tampered;
    printResult(terminal, command, { json, text });
  });
}

/** Whether the fleet log stopped, forks, checkpoints that wait to be compared, and what was refused. */
export async function evidence(_: object, command: Command, context: Context): Promise<void> {
  const { values } = loadConfig(command, context);
  await reading(values, (store) => {
    const origins = new Map(store.logs.all().map(({ number, origin }) => [number, origin]));
    const originOf = (log: number): string => origins.get(log) ?? `log ${log}`;
    const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
    const forks = store.evidence.forks().map(({ log, size, note, heldNote, time }) => {
      return { origin: originOf(log), size, found: formatSeconds(time), note: text(note), held_note: text(heldNote) };
    });
    const claims = store.evidence.claims().map(({ log, size, note, cosigned }) => {
      return { origin: originOf(log), size, note: text(note), lost: cosigned === 1 };
    });
    const samples = store.evidence.samples().map(({ time, bytes, ...sample }) => {
      return { ...sample, time: formatSeconds(time), bytes: encodeBase64(bytes) };
    });
    const refusals = store.evidence.refusals().map(({ firstTime, lastTime, ...refusal }) => {
      return { ...refusal, first: formatSeconds(firstTime), last: formatSeconds(lastTime) };
    });
    const stopped = whyStopped({ suite: native, store });
    const lines = [
      ...(stopped === undefined ? [] : [`STOPPED  ${stopped}`]),
      ...forks.map(
        ({ origin, size, found }) => `FORK     ${origin}: two signed roots at ${size}, found ${found}; both notes with --json`,
      ),
      ...claims.map(({ origin, size, lost }) => {
        const held = `${size} ${plural(size, 'entry', 'entries')}`;
        return lost
          ? `LOST     ${origin}: we gave a receipt for ${held}; its device sends them again, unless it closed that log`
          : `WAITING  ${origin}: a checkpoint of ${held}`;
      }),
      ...refusals.map(({ device, kind, code, count, last }) => {
        const newest = samples.findLast((sample) => sample.device === device && sample.kind === kind && sample.code === code);
        const reason = newest === undefined ? '' : `: ${newest.reason}`;
        return visible(
          `refused  ${device === '' ? '(devices never admitted)' : device} ${kind} ${code}, ${count} ${plural(count, 'time')}, last ${last}${reason}`,
        );
      }),
    ];
    printResult(context.terminal, command, {
      json: { fleet_log_stopped: stopped ?? null, forks, claims, refusals, samples },
      text: lines.length === 0 ? 'no forks, nothing was refused' : lines.join('\n'),
    });
  });
}

export async function prove(
  origin: string,
  index: number,
  options: { out?: string },
  command: Command,
  context: Context,
): Promise<void> {
  const { values } = loadConfig(command, context);
  const evidence = await reading(values, (store) => formatEvidence(makeEvidence(native, store, findLog(store, origin), index)));
  writeEvidence(context.terminal, command, { evidence, index, file: options.out });
}

export async function exportAll(
  file: string | undefined,
  options: { log?: string },
  command: Command,
  context: Context,
): Promise<void> {
  const { terminal, nowMs } = context;
  const { values } = loadConfig(command, context);
  await reading(values, (store) => {
    const logs = options.log === undefined ? store.logs.all() : [findLog(store, options.log)];
    if (logs.length === 0) {
      throw new Failure(EXIT.error, `${storePath(values)}: expected a log to export, got none yet`, {
        hint: 'it holds the first once a device is admitted: tallystick-collector devices says who waits',
      });
    }
    return writeExport(terminal, command, { logs, recordsOf: (row) => exportLog(native, store, row), file, nowMs });
  });
}

function findLog(store: Store, origin: string): LogRow {
  const row = store.logs.byOrigin(origin);
  if (row !== undefined) return row;
  const all = store.logs.all();
  throw new Failure(EXIT.error, `log ${origin}: expected one of the ${all.length} that are held, got another`, {
    hint: 'tallystick-collector devices lists them',
  });
}
