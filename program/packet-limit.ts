import { Duplex } from 'node:stream';

export interface PacketLimits {
  readonly maxBytes: number;
  /** Bytes that may be written and not yet sent before whoever writes is told to wait; by default as Node has it. */
  readonly unsentBytes?: number;
}

/**
 * Carries a connection of MQTT both ways until a packet begins whose length is over `maxBytes`: that ends it with an error. A
 * parser of MQTT gathers a packet in memory before anybody can look at it, and its length of 4 bytes allows 256 MiB.
 */
export function limitPackets(connection: Duplex, { maxBytes, unsentBytes }: PacketLimits): Duplex {
  const lengths = new PacketLengths();
  const stream = new Duplex({
    allowHalfOpen: false,
    ...(unsentBytes === undefined ? {} : { writableHighWaterMark: unsentBytes }),
    read: () => {
      connection.resume();
    },
    write: (chunk: Uint8Array, _encoding, done) => {
      connection.write(chunk, done);
    },
    writev: (chunks, done) => {
      connection.write(Buffer.concat(chunks.map(({ chunk }) => chunk as Uint8Array)), done);
    },
    final: (done) => {
      connection.end(done);
    },
    destroy: (error, done) => {
      connection.destroy();
      done(error);
    },
  });
  connection.on('data', (chunk: Uint8Array) => {
    const longest = lengths.push(chunk);
    if (longest > maxBytes) stream.destroy(new Error(`a packet of ${longest} bytes came, at most ${maxBytes} are taken`));
    else if (!stream.push(chunk)) connection.pause();
  });
  connection.on('end', () => {
    stream.push(null);
  });
  connection.on('error', (error) => {
    stream.destroy(error);
  });
  connection.on('close', () => {
    // What came before the end is still to be read.
    if (!connection.readableEnded) stream.destroy();
  });
  return stream;
}

/**
 * Reads the lengths of packets out of their bytes, MQTT 5 §2.1.4: one byte of type and flags, then the number of bytes that follow, in
 * one to four groups of 7 bits, the lowest first.
 */
class PacketLengths {
  /** Bytes of the packet that still have to come. */
  #left = 0;
  /** Groups of the length that were read; undefined while the first byte is due. */
  #groups: number | undefined;
  #length = 0;

  /** The length of the longest packet that begins in here, 0 if none does; infinite where a length has more than four groups. */
  push(chunk: Uint8Array): number {
    let longest = 0;
    let at = Math.min(this.#left, chunk.length);
    this.#left -= at;
    while (at < chunk.length) {
      const byte = chunk[at++] as number;
      if (this.#groups === undefined) {
        this.#groups = 0;
        this.#length = 0;
        continue;
      }
      if (this.#groups === 4) return Infinity;
      this.#length += (byte & 127) * 128 ** this.#groups++;
      if (byte >= 128) continue;
      longest = Math.max(longest, 1 + this.#groups + this.#length);
      this.#groups = undefined;
      const here = Math.min(this.#length, chunk.length - at);
      this.#left = this.#length - here;
      at += here;
    }
    return longest;
  }
}
