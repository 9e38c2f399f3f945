import type { Heard } from './messages.ts';

/** Something that keeps messages, as the benchmark uses it. */
export interface Side {
  readonly name: string;
  /** What it does, for whoever reads the ratio. */
  readonly what: string;
  /** Makes it in an empty folder, or opens the one that is there. */
  open(folder: string): Promise<Opened>;
}

export interface Opened {
  /** How it was told to sync, read back from where it keeps that. */
  readonly synchronous: string;
  /** Resolves when all of them are recorded. */
  append(messages: readonly Heard[]): Promise<void>;
  /** Messages it holds. */
  count(): number;
  close(): Promise<void>;
}
