import { cosign } from '../tlog/cosignature.ts';
import { assert } from '../tlog/error.ts';
import { parseReceipt } from '../tlog/receipt.ts';
import { signState, type State } from '../tlog/state.ts';
import type { Answer } from './answer.ts';
import type { Parts } from './parts.ts';
import type { LogRow } from './row.ts';

/**
 * A receipt of new entries: the checkpoint that came with them, cosigned. Its time is not before any that was signed of the log; it is
 * committed with the entries, so that it can be said again and again in the same bytes.
 */
export function signReceipt(
  { suite, keys }: Parts,
  row: LogRow,
  checkpoint: Uint8Array,
  nowSeconds: number,
): { readonly time: number; readonly receipt: Uint8Array } {
  const time = Math.max(nowSeconds, row.time);
  return { time, receipt: cosign(suite, checkpoint, keys.collector, time) };
}

/**
 * The answer to a hello, of an admitted or retired log: a state note, and for an admitted one its admission and a fresh cosignature
 * of the newest checkpoint, all later than anything signed of the log before. Committed when this returns.
 */
export function greet(parts: Parts, origin: string, nowSeconds: number): Answer[] {
  const { suite, store, keys } = parts;
  for (;;) {
    const row = store.logs.byOrigin(origin);
    assert(row !== undefined, 'a log that was admitted is there');
    const time = Math.max(nowSeconds, row.time + 1);
    const isAdmitted = row.standing === 'admitted';
    const receipt =
      row.receipt === null || !isAdmitted
        ? row.receipt
        : cosign(suite, parseReceipt(row.receipt).checkpoint, keys.collector, time);
    // Another collector may have taken a segment meanwhile: then what it signed is what has to be said.
    if (!store.transaction(() => store.logs.sign(row, { time, receipt }))) continue;
    const { device, standing, size } = row;
    const state = stateAnswer(parts, device, { origin, standing, size, reason: row.reason ?? undefined, time });
    if (!isAdmitted) return [state];
    return [{ device, topic: 'admission', bytes: row.admission, retain: true }, state, ...receiptAnswers({ device, receipt })];
  }
}

/** The latest receipt, for whatever is signed and consistent; nothing while there is none. */
export function receiptAnswers({ device, receipt }: Pick<LogRow, 'device' | 'receipt'>): Answer[] {
  return receipt === null ? [] : [{ device, topic: 'receipt', bytes: receipt, retain: true }];
}

/** Not retained: it tells about now. */
export function stateAnswer({ suite, keys }: Parts, device: string, state: State): Answer {
  return { device, topic: 'admission', bytes: signState(suite, state, keys.fleet), retain: false };
}
