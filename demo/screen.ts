import { visible } from '../program/visible.ts';
import { drawableColumns } from '../program/progress.ts';

/** What the demo prints: lines for people, and on a terminal a last one that is drawn over and over. */
export class Screen {
  readonly #stream: NodeJS.WriteStream;
  readonly #startedMs = performance.now();
  #live = '';

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** Something that happened: when, to whom, what. */
  say(who: string, what: string): void {
    const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(1);
    this.print(`${seconds.padStart(5)} s  ${who.padEnd(9)}  ${visible(what)}`);
  }

  /** A new part of the story. */
  title(text: string): void {
    this.print(`\n${this.#stream.isTTY ? `\x1b[1m${text}\x1b[0m` : text}`);
  }

  print(text: string): void {
    this.#wipe();
    this.#stream.write(`${text}\n`);
    this.#draw();
  }

  /** What stands in the last line of a terminal; nothing is shown elsewhere. */
  live(text: string): void {
    this.#wipe();
    this.#live = text;
    this.#draw();
  }

  #wipe(): void {
    if (this.#live !== '' && this.#stream.isTTY) this.#stream.write('\r\x1b[K');
  }

  #draw(): void {
    if (this.#live !== '' && this.#stream.isTTY) this.#stream.write(this.#live.slice(0, drawableColumns(this.#stream)));
  }
}

export function count(n: number): string {
  return n.toLocaleString('en-US');
}
