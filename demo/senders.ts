import { Agent, request } from 'node:http';
import { connectAsync, type MqttClient } from 'mqtt';
import type { Ledger } from './ledger.ts';
import type { Reading } from './machines.ts';

const TICK_MS = 100;

export interface SendersOptions {
  readonly brokerUrl: string;
  /** The agent's socket. */
  readonly socket: string;
  readonly readings: Iterator<Reading, never>;
  readonly perSecond: number;
  /** Gets what the agent answered with 201. */
  readonly acknowledged: Ledger;
  readonly onTrouble: (reason: string) => void;
}

/** The machines: they send at a steady rate until stopped. What MQTT brings is acknowledged to the broker, which reports it. */
export class Senders {
  readonly #options: SendersOptions;
  readonly #client: MqttClient;
  readonly #timer: NodeJS.Timeout;
  readonly #underWay = new Set<Promise<void>>();
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });
  #sentByMqtt = 0;
  #sentByHttp = 0;
  #owed = 0;

  private constructor(options: SendersOptions, client: MqttClient) {
    this.#options = options;
    this.#client = client;
    client.on('error', (error) => {
      options.onTrouble(`machines: the gateway's broker is gone (${error.message})`);
    });
    this.#timer = setInterval(() => {
      this.#owed += (options.perSecond * TICK_MS) / 1000;
      for (; this.#owed >= 1; this.#owed--) this.#send(options.readings.next().value);
    }, TICK_MS);
  }

  static async start(options: SendersOptions): Promise<Senders> {
    return new Senders(options, await connectAsync(options.brokerUrl, { clientId: 'machines' }));
  }

  get sent(): { readonly mqtt: number; readonly http: number } {
    return { mqtt: this.#sentByMqtt, http: this.#sentByHttp };
  }

  /** Resolves once what was sent has arrived: at the broker, or with the agent's answer. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    await this.#client.endAsync();
    this.#agent.destroy();
  }

  /** Ends at once. */
  abandon(): void {
    clearInterval(this.#timer);
    this.#client.end(true);
    this.#agent.destroy();
  }

  #send(reading: Reading): void {
    const isMqtt = reading.way === 'mqtt';
    if (isMqtt) this.#sentByMqtt += 1;
    else this.#sentByHttp += 1;
    const sending = (isMqtt ? this.#publish(reading) : this.#post(reading)).catch((error: unknown) => {
      this.#options.onTrouble(`machines: ${reading.topic}: ${error instanceof Error ? error.message : String(error)}`);
    });
    this.#underWay.add(sending);
    void sending.then(() => this.#underWay.delete(sending));
  }

  async #publish({ topic, payload }: Reading): Promise<void> {
    await this.#client.publishAsync(topic, Buffer.from(payload), { qos: 1 });
  }

  #post({ topic, payload }: Reading): Promise<void> {
    const { socket, acknowledged } = this.#options;
    const path = `/v1/messages/${topic.split('/').map(encodeURIComponent).join('/')}`;
    const headers = { 'content-type': 'application/json', 'content-length': payload.length };
    return new Promise((resolve, reject) => {
      const posting = request({ socketPath: socket, agent: this.#agent, method: 'POST', path, headers }, (answer) => {
        answer.resume();
        answer.once('error', reject);
        answer.once('end', () => {
          if (answer.statusCode !== 201) {
            reject(new Error(`expected 201 of the agent, got ${answer.statusCode ?? 'nothing'}`));
            return;
          }
          acknowledged.add(topic, payload);
          resolve();
        });
      });
      posting.once('error', reject);
      posting.end(payload);
    });
  }
}
