import { Duplex } from 'node:stream';

/** Of a packet that does not come at once less is not handed on: a parser keeps each piece apart, with hundreds of bytes around it. */
const PIECE_BYTES = 4096;

export interface PacketLimits {
  /** Of packets that begin now. */
  readonly maxBytes: () => number;
  /** How long one may take to come, while it is read; by default without end. */
  readonly packetMs?: number;
  /** Bytes that may be written and not yet sent before whoever writes is told to wait; by default as Node has it. */
  readonly unsentBytes?: number;
}

/**
 * Carries a connection of MQTT both ways until a packet begins whose length is over `maxBytes`, or one does not end: that ends it with
 * an error. A parser of MQTT gathers a packet in memory before anybody can look at it, and its length of 4 bytes allows 256 MiB.
 */
export function limitPackets(connection: Duplex, { maxBytes, packetMs, unsentBytes }: PacketLimits): Duplex {
  const lengths = new PacketLengths();
  const pieces = new Pieces();
  let timer: NodeJS.Timeout | undefined;
  const stream = new Duplex({
    allowHalfOpen: false,
    ...(unsentBytes === undefined ? {} : { writableHighWaterMark: unsentBytes }),
    read: () => {
      connection.resume();
      watch();
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
      unwatch();
      connection.destroy();
      done(error);
    },
  });
  const unwatch = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  const watch = (): void => {
    if (!lengths.isWithin || packetMs === undefined) return;
    timer ??= setTimeout(() => stream.destroy(new Error(`a packet took longer than ${packetMs} ms`)), packetMs);
  };
  connection.on('data', (chunk: Uint8Array) => {
    const longest = lengths.push(chunk);
    const max = maxBytes();
    if (longest > max) {
      stream.destroy(new Error(`a packet of ${longest} bytes came, at most ${max} are taken`));
      return;
    }
    if (lengths.hasEnded) unwatch();
    watch();
    const piece = lengths.hasEnded ? pieces.end(chunk) : pieces.add(chunk);
    if (piece === undefined || stream.push(piece)) return;
    connection.pause();
    // Now it is whoever reads that takes the time.
    unwatch();
  });
  connection.on('end', () => {
    stream.push(pieces.end(new Uint8Array()));
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

/** Joins what comes of one packet until it is worth handing on. */
class Pieces {
  #held: Buffer | undefined;
  #length = 0;

  add(chunk: Uint8Array): Uint8Array | undefined {
    if (this.#length + chunk.length >= PIECE_BYTES) return this.end(chunk);
    this.#held ??= Buffer.allocUnsafeSlow(PIECE_BYTES);
    this.#held.set(chunk, this.#length);
    this.#length += chunk.length;
    return undefined;
  }

  /** All that was held, and this. */
  end(chunk: Uint8Array): Uint8Array {
    if (this.#held === undefined) return chunk;
    const all = Buffer.concat([this.#held.subarray(0, this.#length), chunk]);
    this.#held = undefined;
    this.#length = 0;
    return all;
  }
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
  #hasEnded = false;

  /** Whether a packet ended in the last chunk. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Whether of a packet that began some is missing. */
  get isWithin(): boolean {
    return this.#left > 0 || this.#groups !== undefined;
  }

  /** The length of the longest packet that begins in here, 0 if none does; infinite where a length has more than four groups. */
  push(chunk: Uint8Array): number {
    let longest = 0;
    let at = Math.min(this.#left, chunk.length);
    this.#hasEnded = at > 0 && at === this.#left;
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
      this.#hasEnded ||= this.#left === 0;
      at += here;
    }
    return longest;
  }
}
