import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { field, packet, packets, publish, u16 } from './mqtt-wire.ts';

export interface Reading {
  readonly topic: string;
  readonly payload: string;
}

const WINDOW = 50;
const AGAIN_MS = 50;

/**
 * What publishes on a plant: with QoS 1 over MQTT 3.1.1, and whenever its broker goes it connects again and sends again what was
 * not acknowledged. How often it sent
 * a message is kept by the message's number.
 */
export class Machine {
  readonly #port: number;
  readonly #name: string;
  readonly #readings: readonly Reading[];
  readonly #confirmed = new Set<number>();
  readonly #sent = new Map<number, number>();
  #socket: Socket | undefined;
  #inFlight = new Map<number, number>();
  #isHeld = false;

  constructor(port: number, name: string, readings: readonly Reading[]) {
    this.#port = port;
    this.#name = name;
    this.#readings = readings;
    onTestFinished(() => {
      this.#socket?.destroy();
    });
  }

  /** How many messages the broker has acknowledged. */
  get confirmed(): number {
    return this.#confirmed.size;
  }

  /** Whether nothing is on its way that the broker has not acknowledged. */
  get isQuiet(): boolean {
    return this.#inFlight.size === 0;
  }

  /** Sends nothing more, until it is released and connects again. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
  }

  sent(number: number): number {
    return this.#sent.get(number) ?? 0;
  }

  /** Resolves once the broker has acknowledged all. */
  async publish(): Promise<void> {
    while (this.confirmed < this.#readings.length) {
      const socket = connect({ port: this.#port, host: '127.0.0.1' });
      this.#socket = socket;
      socket.on('error', () => undefined);
      this.#talk(socket);
      await new Promise((resolve) => socket.once('close', resolve));
      if (this.confirmed < this.#readings.length) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  #talk(socket: Socket): void {
    const inFlight = new Map<number, number>();
    this.#inFlight = inFlight;
    let next = 0;
    const fill = (): void => {
      const batch: Uint8Array[] = [];
      for (; !this.#isHeld && inFlight.size < WINDOW && next < this.#readings.length; next++) {
        const reading = this.#readings[next];
        if (reading === undefined || this.#confirmed.has(next)) continue;
        const id = (next % 65_535) + 1;
        inFlight.set(id, next);
        this.#sent.set(next, this.sent(next) + 1);
        batch.push(publish({ ...reading, qos: 1, id }));
      }
      if (batch.length > 0) socket.write(Buffer.concat(batch));
      if (this.confirmed === this.#readings.length) socket.end();
    };
    let rest: Uint8Array = new Uint8Array();
    socket.on('data', (chunk: Uint8Array) => {
      rest = packets(Buffer.concat([rest, chunk]), (first, body) => {
        if (first !== 0x40) return;
        const id = ((body[0] ?? 0) << 8) | (body[1] ?? 0);
        const number = inFlight.get(id);
        inFlight.delete(id);
        if (number !== undefined) this.#confirmed.add(number);
      });
      fill();
    });
    socket.write(packet(0x10, field('MQTT'), Buffer.of(4, 2), u16(0), field(this.#name)));
  }
}
