import type { Code } from '../tlog/error.ts';
import type { RefusalRow, SampleRow } from './row.ts';
import type { Store } from './store.ts';

/** Of a message that is not kept whole, the part that tells what it was. */
const MAX_SAMPLE_BYTES = 98_304;

export interface Refused {
  readonly device: string;
  readonly kind: string;
  readonly code: Code;
  readonly reason: string;
  readonly bytes: Uint8Array;
}

interface Pending {
  readonly counted: RefusalRow;
  /** The newest. */
  readonly sample: SampleRow;
}

/**
 * Counts what was refused and keeps the newest samples. Anybody may send what is refused, so that it must not cost a commit each: they
 * gather in memory for a second at most, one sample of each device, kind and code.
 */
export class Refusals {
  readonly #store: Store;
  readonly #mostSamples: number;
  readonly #pending = new Map<string, Pending>();
  #flushedAt = 0;

  constructor(store: Store, mostSamples: number) {
    this.#store = store;
    this.#mostSamples = mostSamples;
  }

  add({ device: topic, kind, code, reason, bytes }: Refused, nowSeconds: number): void {
    // Names that nobody admitted are as many as anybody likes: they are counted as one.
    const device = this.#store.logs.isDevice(topic) ? topic : '';
    const key = `${device} ${kind} ${code}`;
    const before = this.#pending.get(key)?.counted;
    this.#pending.set(key, {
      counted: {
        device,
        kind,
        code,
        count: (before?.count ?? 0) + 1,
        firstTime: before?.firstTime ?? nowSeconds,
        lastTime: nowSeconds,
      },
      sample: { device, kind, code, time: nowSeconds, reason, bytes: bytes.slice(0, MAX_SAMPLE_BYTES) },
    });
    if (nowSeconds !== this.#flushedAt) this.flush(nowSeconds);
  }

  flush(nowSeconds: number): void {
    this.#flushedAt = nowSeconds;
    if (this.#pending.size === 0) return;
    this.#store.transaction(() => {
      for (const { counted, sample } of this.#pending.values()) {
        this.#store.evidence.count(counted);
        this.#store.evidence.insertSample(sample, this.#mostSamples);
      }
    });
    this.#pending.clear();
  }
}
