import { Duplex } from 'node:stream';
import { PacketReader, type PacketHandler } from './mqtt-packets.ts';

export interface PublishHandler extends Omit<PacketHandler, 'onControl'> {
  /** All packets of one read from the connection were handed on. */
  onRead(): void;
}

/**
 * What mqtt.js is given in place of the connection to the broker: it carries all packets both ways but the broker's PUBLISH packets,
 * which go to `handler` and are acknowledged by whoever has that, by writing to `socket` itself.
 *
 * Why here: mqtt.js takes one PUBLISH at a time and acknowledges each from its handler's callback. To wait for a commit there costs
 * nine tenths of the rate; `customHandleAcks` is called in the same order and for MQTT 5 only; to send a PUBACK later there is no
 * public method. The stream is the argument that its constructor is documented to take, so none of its inside is touched: it keeps
 * connecting, subscribing and the keep-alive, and what it would do to a PUBLISH (an object a packet, a turn of the event loop each,
 * user properties without their order) is not done at all. Its own packets are whole in what it writes at once (it corks the
 * stream), so that acknowledgements written in between never fall into one.
 */
export function withoutPublishes(socket: Duplex, handler: PublishHandler): Duplex {
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk: Uint8Array, _encoding, done) => {
      socket.write(chunk, done);
    },
    writev: (chunks, done) => {
      socket.write(Buffer.concat(chunks.map(({ chunk }) => chunk as Uint8Array)), done);
    },
    final: (done) => {
      socket.end(done);
    },
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  const reader = new PacketReader({
    version: handler.version,
    onControl: (packet) => {
      stream.push(packet);
    },
    onPublish: (flags, head, payload) => {
      handler.onPublish(flags, head, payload);
    },
    onLongPublish: (flags, head, payloadBytes) => handler.onLongPublish(flags, head, payloadBytes),
    onOversizePublish: (flags, start, headBytes) => {
      handler.onOversizePublish(flags, start, headBytes);
    },
  });
  socket.on('data', (chunk: Uint8Array) => {
    try {
      reader.push(chunk);
      handler.onRead();
    } catch (error) {
      stream.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  });
  socket.on('end', () => {
    stream.push(null);
  });
  socket.on('error', (error) => {
    stream.destroy(error);
  });
  socket.on('close', () => {
    stream.destroy();
  });
  return stream;
}
