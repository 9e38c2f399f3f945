/** Something that takes bytes from outside. */
export interface Target {
  readonly name: string;
  /** Valid inputs, which are mutated. */
  readonly samples: readonly Uint8Array[];
  /**
   * Takes an input. What it throws by its contract is caught here and made nothing of; whatever else it throws is a bug. Where it
   * takes one that it has to refuse, or the other way round, it throws too.
   */
  readonly take: (input: Uint8Array) => void | Promise<void>;
  /** A bug when true of an accepted input that is not one of the samples. */
  readonly close?: () => Promise<void>;
}

/** Runs `work`; an error of this kind is the refusal that its contract names, any other goes through. */
export function refusing(kind: (error: unknown) => boolean, work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!kind(error)) throw error;
  }
}
