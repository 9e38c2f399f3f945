import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Order, Told } from './work.ts';

export interface Bug {
  readonly target: string;
  /** Its number; with target and seed it makes the input again. */
  readonly input: number;
  /** Undefined where the worker could not tell any more. */
  readonly bytes: Uint8Array | undefined;
  readonly error: string;
}

export interface Plan {
  readonly seed: number;
  readonly seconds: number;
  readonly only: string;
}

export interface Bounds {
  /** No input may take longer. */
  readonly hangMs: number;
  /** Of the worker's objects, and of the whole process. */
  readonly heapMib: number;
  readonly residentMib: number;
}

const BOUNDS: Bounds = { hangMs: 10_000, heapMib: 256, residentMib: 1024 };
const LOOK_MS = 250;

/** Fuzzes in a worker, which may die of it. `worker`: its script. */
export async function watch(
  plan: Plan,
  say: (line: string) => void,
  worker = fileURLToPath(new URL('fuzz-work.js', import.meta.url)),
  { hangMs, heapMib, residentMib }: Bounds = BOUNDS,
): Promise<{ inputs: number; bugs: Bug[] }> {
  const place = new SharedArrayBuffer(8);
  const where = new Int32Array(place);
  const order: Order = { seed: plan.seed, milliseconds: plan.seconds * 1000, only: plan.only, place };
  const running = new Worker(worker, { workerData: order, resourceLimits: { maxOldGenerationSizeMb: heapMib } });
  const bugs: Bug[] = [];
  let targets: readonly string[] = [];
  let inputs = 0;
  const here = (error: string): void => {
    bugs.push({ target: targets[where[0] ?? 0] ?? 'the start', input: where[1] ?? 0, bytes: undefined, error });
  };
  let last = '';
  let movedAt = performance.now();
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const now = `${where[0] ?? 0} ${where[1] ?? 0} ${targets.length}`;
      if (now !== last) movedAt = performance.now();
      last = now;
      const resident = process.memoryUsage().rss / 2 ** 20;
      // Before there was an input none can have taken it.
      if (targets.length > 0 && resident > residentMib)
        here(`expected at most ${residentMib} MiB of memory, got ${Math.round(resident)}`);
      else if (performance.now() - movedAt > hangMs) here(`expected an end within ${hangMs / 1000} s, got none`);
      else return;
      clearInterval(timer);
      void running.terminate();
    }, LOOK_MS);
    running.on('message', (told: Told) => {
      if (told.kind === 'begun') targets = told.targets;
      if (told.kind === 'bug') bugs.push(told);
      if (told.kind !== 'done') return;
      inputs += told.inputs;
      say(`${told.target}: ${told.inputs} inputs`);
    });
    // Of what was thrown where nobody waits for it, and of memory that ran out.
    running.on('error', (error) => {
      here(error instanceof Error ? (error.stack ?? error.message) : String(error));
    });
    running.on('exit', () => {
      clearInterval(timer);
      resolve();
    });
  });
  return { inputs, bugs };
}
