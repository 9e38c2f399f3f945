import { ask, type Answer } from '../agent/http-client.ts';
import { seeded } from '../agent/seeded.ts';
import type { AgentProcess } from '../support/agent-process.ts';
import { TOPIC } from './site.ts';

/** What an agent answered to messages that it recorded. */
export interface Recorded {
  /** Index of the first. */
  readonly first: number;
  readonly payloads: readonly string[];
  /** Of the log after their commit, and base64 of the leaf hash of its last entry. */
  readonly size: number;
  readonly head: string;
}

/** Sends messages over HTTP: numbers, each a JSON text that is padded to a length which follows from a seed. */
export class Sender {
  readonly recorded: Recorded[] = [];
  readonly #socketPath: string;
  readonly #random: (limit: number) => number;
  readonly #largest: number;
  #next = 0;

  /** `largest`: bytes of a payload, at most. */
  constructor({ socket }: Pick<AgentProcess, 'socket'>, seed: number, largest: number) {
    this.#socketPath = socket;
    this.#random = seeded(seed);
    this.#largest = largest;
  }

  get acknowledged(): string[] {
    return this.recorded.flatMap(({ payloads }) => payloads);
  }

  /** So many more, side by side: the answers to those that were not recorded, undefined where nobody answered. */
  async send(count: number): Promise<(Answer | undefined)[]> {
    const asked = Array.from({ length: count }, () => {
      const payload = this.#payload();
      return this.#ask([payload], `/v1/messages/${TOPIC}`, payload);
    });
    return (await Promise.all(asked)).filter((answer) => answer?.status !== 201);
  }

  /** So many more in one request, which are recorded all or none. */
  async sendTogether(count: number): Promise<Answer | undefined> {
    const payloads = Array.from({ length: count }, () => this.#payload());
    const lines = payloads.map((payload) => `{"topic":"${TOPIC}","payload":${payload}}\n`);
    return this.#ask(payloads, '/v1/messages', lines.join(''), { 'content-type': 'application/x-ndjson' });
  }

  #payload(): string {
    return JSON.stringify(String(this.#next++).padEnd(this.#random(this.#largest - 1), '.'));
  }

  async #ask(payloads: readonly string[], path: string, body: string, headers = {}): Promise<Answer | undefined> {
    const answer = await ask({ socketPath: this.#socketPath }, { path, body, headers }).catch(() => undefined);
    if (answer?.status === 201) this.recorded.push({ ...(answer.json as unknown as Omit<Recorded, 'payloads'>), payloads });
    return answer;
  }
}

/** What the running agent says needs somebody: codes, by `GET /v1/status`. */
export async function liveStatus({ socket }: Pick<AgentProcess, 'socket'>): Promise<string[]> {
  return failed((await ask({ socketPath: socket }, { method: 'GET', path: '/v1/status' })).json);
}

/** Codes of what needs somebody, in what `status` and `GET /v1/status` tell. */
export function failed(report: unknown): string[] {
  const { troubles } = report as { troubles: { level: string; code: string }[] };
  return troubles.filter(({ level }) => level === 'FAIL').map(({ code }) => code);
}
