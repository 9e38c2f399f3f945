import { connect, type Socket } from 'node:net';
import { once } from 'node:events';

// MQTT by hand, for what a client library hides: packets as bytes.

/** Type and flags, length, body. */
export function packet(first: number, ...body: Uint8Array[]): Buffer {
  const bytes = Buffer.concat(body);
  return Buffer.concat([Uint8Array.of(first), varint(bytes.length), bytes]);
}

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  do {
    bytes.push((value % 128) + (value >= 128 ? 128 : 0));
    value = Math.floor(value / 128);
  } while (value > 0);
  return Buffer.from(bytes);
}

export function u16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 255);
}

/** A length of two bytes before it. */
export function field(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u16(bytes.length), bytes]);
}

export interface PublishParts {
  readonly topic: string | Uint8Array;
  readonly payload?: string | Uint8Array;
  readonly qos?: 0 | 1 | 2 | 3;
  readonly id?: number;
  readonly retain?: true;
  readonly dup?: true;
  /** MQTT 5: what stands behind their length. */
  readonly properties?: Uint8Array;
}

export function publish({ topic, payload = '', qos = 0, id = 0, retain, dup, properties }: PublishParts): Buffer {
  const flags = (dup === true ? 8 : 0) | (qos << 1) | (retain === true ? 1 : 0);
  return packet(
    0x30 | flags,
    field(topic),
    ...(qos === 0 ? [] : [u16(id)]),
    ...(properties === undefined ? [] : [varint(properties.length), properties]),
    Buffer.from(payload),
  );
}

/** Splits bytes into packets; answers with what is left over. */
export function packets(bytes: Uint8Array, onPacket: (first: number, body: Uint8Array) => void): Uint8Array {
  for (let at = 0; ;) {
    let length = 0;
    let i = at + 1;
    for (let shift = 0; ; shift += 7, i++) {
      const byte = bytes[i];
      if (byte === undefined) return bytes.subarray(at);
      length += (byte & 127) * 2 ** shift;
      if (byte < 128) break;
    }
    const end = i + 1 + length;
    if (end > bytes.length) return bytes.subarray(at);
    onPacket(bytes[at] as number, bytes.subarray(i + 1, end));
    at = end;
  }
}

/** A 3.1.1 client that publishes with QoS 1 as fast as the broker takes it. */
export class Publisher {
  readonly #socket: Socket;
  #rest: Uint8Array = new Uint8Array();
  #sent = 0;
  #acknowledged = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Uint8Array) => {
      this.#rest = packets(Buffer.concat([this.#rest, chunk]), (first) => {
        if (first === 0x40) this.#acknowledged++;
        this.#socket.emit('packet', first);
      });
    });
  }

  static async connect(port: number, clientId = 'publisher'): Promise<Publisher> {
    const socket = connect({ port, host: '127.0.0.1' });
    const publisher = new Publisher(socket);
    socket.write(packet(0x10, field('MQTT'), Buffer.of(4, 2), u16(0), field(clientId)));
    await once(socket, 'packet');
    return publisher;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Resolves once the broker has acknowledged all. */
  async publish(messages: Iterable<PublishParts>): Promise<void> {
    let batch: Buffer[] = [];
    for (const message of messages) {
      batch.push(publish({ ...message, qos: 1, id: (this.#sent++ % 65_535) + 1 }));
      if (batch.length < 500) continue;
      this.#socket.write(Buffer.concat(batch));
      batch = [];
      while (this.#sent - this.#acknowledged > 2000) await once(this.#socket, 'packet');
    }
    this.#socket.write(Buffer.concat(batch));
    while (this.#acknowledged < this.#sent) await once(this.#socket, 'packet');
  }

  close(): void {
    this.#socket.destroy();
  }
}
