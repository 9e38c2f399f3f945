import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

/** The way between agent and collector: TCP that can be cut and joined again, as a network can. */
export class Relay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  private constructor(targetPort: number) {
    this.#server = createServer((near) => {
      if (this.#isCut) {
        near.destroy();
        return;
      }
      const far = connect({ host: '127.0.0.1', port: targetPort });
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        // An error is followed by 'close', which ends the other side.
        socket.on('error', () => socket.destroy());
      }
      near.once('close', () => this.#forget(near, far));
      far.once('close', () => this.#forget(far, near));
      near.pipe(far).pipe(near);
    });
  }

  /** On a free port of 127.0.0.1. */
  static async to(targetPort: number): Promise<Relay> {
    const relay = new Relay(targetPort);
    relay.#server.listen(0, '127.0.0.1');
    await once(relay.#server, 'listening');
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  /** Nothing passes any more, and who tries is hung up on. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  join(): void {
    this.#isCut = false;
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #forget(ended: Socket, other: Socket): void {
    this.#sockets.delete(ended);
    other.destroy();
  }
}
