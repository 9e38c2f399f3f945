import { Duplex } from 'node:stream';

/**
 * Carries a connection of MQTT both ways until a packet begins whose length is over `maxBytes`: that ends it with an error. A
 * parser of MQTT gathers a packet in memory before anybody can look at it, and its length of 4 bytes allows 256 MiB.
 */
export function limitPackets(connection: Duplex, maxBytes: number): Duplex {
  const lengths = new PacketLengths();
  const stream = new Duplex({
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
    stream.destroy();
  });
  return stream;
}

/**
 * Reads the lengths of packets out of their bytes, MQTT 5 §2.1.4: one byte of type and flags, then the bytes that follow, as one to
 * four groups of 7 bits, the lowest first.
 */
class PacketLengths {
  /** Bytes of the packet that still have to come. */
  #left = 0;
  /** Place within the length; undefined while the first byte is due. */
  #place: number | undefined;
  #length = 0;

  /** The length of the longest packet that begins in here, 0 if none does; infinite where a length has more than four bytes. */
  push(chunk: Uint8Array): number {
    let longest = 0;
    for (let at = Math.min(this.#left, chunk.length); at < chunk.length;) {
      this.#left = 0;
      const byte = chunk[at++] ?? 0;
      if (this.#place === undefined) {
        this.#place = 0;
        this.#length = 0;
        continue;
      }
      if (this.#place === 4) return Infinity;
      this.#length += (byte & 127) * 128 ** this.#place++;
      if (byte >= 128) continue;
      longest = Math.max(longest, 1 + this.#place + this.#length);
      this.#place = undefined;
      this.#left = this.#length - Math.min(this.#length, chunk.length - at);
      at += this.#length - this.#left;
    }
    return longest;
  }
}
