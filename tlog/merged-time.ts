const MICROSECONDS = 1_000_000;

/**
 * Where an entry stands in the merged order of a fleet, in microseconds since 1970:
 * ```
 * merged-time[i] = min(max(time[i], merged-time[i−1]), the last microsecond of the second of the receipt)
 * ```
 * `before` is the merged time of the entry before, 0 for none; `receiptSeconds` the time of the first receipt that covers the entry.
 * A receipt's time is a whole second, during which the collector got the entry: so what is compared is that second's end. It rises
 * within a log, because receipts' times never decrease; no clock can throw an entry past the moment at which the collector held it;
 * and whoever has entries and receipts can recompute it.
 */
export function mergedTime(time: number, before: number, receiptSeconds: number): number {
  return Math.min(Math.max(time, before), receiptSeconds * MICROSECONDS + MICROSECONDS - 1);
}
