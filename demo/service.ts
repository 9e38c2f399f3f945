import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** So long may a service take to start, and to stop before it is killed. */
const PATIENCE_MS = 20_000;

/** A shipped program that goes on, in a process of its own. */
export class Service {
  readonly #name: string;
  readonly #child: ChildProcess;
  #said = '';
  #isStopping = false;

  /** `onEnd` is told where it ends and nobody stopped it. */
  constructor(name: string, args: readonly string[], onEnd: (reason: string) => void) {
    this.#name = name;
    // In a process group of its own: Ctrl-C is for the demo, which then ends all in order.
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    this.#child.once('exit', (code, signal) => {
      if (this.#isStopping) return;
      onEnd(`${name} ended by itself (${signal ?? `exit ${code ?? '?'}`})${this.#lastWords()}`);
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** What it logged in a line that this matches. Rejects where it ends before, or says nothing for long. */
  async hears(pattern: RegExp): Promise<RegExpExecArray> {
    const stderr = this.#child.stderr;
    if (stderr === null) throw new Error(`${this.#name}: expected its standard error, got none`);
    const signal = AbortSignal.timeout(PATIENCE_MS);
    for (;;) {
      const found = pattern.exec(this.#said);
      if (found !== null) return found;
      if (this.#hasEnded()) throw new Error(`${this.#name} did not start${this.#lastWords()}`);
      await Promise.race([once(stderr, 'data', { signal }), once(this.#child, 'exit', { signal })]).catch(() => {
        throw new Error(
          `${this.#name}: expected it to say ${pattern.source}, waited ${PATIENCE_MS / 1000} s${this.#lastWords()}`,
        );
      });
    }
  }

  /** Resolves once the process is gone. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#hasEnded()) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS);
    await gone;
    clearTimeout(timer);
  }

  #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #lastWords(): string {
    const line = this.#said.trimEnd().split('\n').at(-1) ?? '';
    return line === '' ? '' : `; its last words: ${line}`;
  }
}
