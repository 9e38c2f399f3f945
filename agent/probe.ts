import { openSocket, type Broker } from '../program/broker-socket.ts';
import { MqttLink, type LinkEnd, type ProtocolVersion } from '../program/mqtt-link.ts';

const TIMEOUT_MS = 10_000;

export interface ProbeOptions {
  readonly broker: Broker;
  /** One that nobody else has: a broker would end the other's connection. */
  readonly clientId: string;
  readonly filters: readonly string[];
  /** Said once subscribed; without it the probe ends there. */
  readonly hello?: {
    readonly topic: string;
    readonly payload: Uint8Array;
    /** Whether a message answers it. What it throws ends the probe. */
    readonly isAnswer: (topic: string, payload: Uint8Array) => boolean;
  };
}

export interface Probed {
  readonly isSubscribed: boolean;
  readonly wasAnswered: boolean;
  /** What ended it before that, in words. */
  readonly reason: string;
}

/** Connects to a broker, subscribes, asks if there is something to be asked, and leaves: a session of its own, of which nothing stays. */
export async function probe(options: ProbeOptions): Promise<Probed> {
  const found = await connectOnce(options, 5);
  return found.refusedVersion || found.wasHungUp ? connectOnce(options, 4) : found;
}

async function connectOnce(
  { broker, clientId, filters, hello }: ProbeOptions,
  version: ProtocolVersion,
): Promise<Probed & Pick<LinkEnd, 'refusedVersion' | 'wasHungUp'>> {
  let wasAnswered = false;
  const link = new MqttLink({
    open: () => openSocket(broker),
    username: broker.username,
    password: broker.password,
    clientId,
    keepAliveSeconds: 30,
    version,
    filters,
    onReady: () => {
      if (hello === undefined) link.leave('done');
      else link.publish({ topic: hello.topic, payload: hello.payload, retain: false });
    },
    onMessage: (topic, payload, freshness) => {
      if (freshness === 'retained' || hello?.isAnswer(topic, payload) !== true) return;
      wasAnswered = true;
      link.leave('done');
    },
    onAcknowledged: (_, refusal) => {
      if (refusal !== undefined) link.leave(refusal);
    },
  });
  const timer = setTimeout(() => {
    link.leave(`no answer within ${TIMEOUT_MS / 1000} s`);
  }, TIMEOUT_MS);
  const { reason, wasReady, refusedVersion, wasHungUp } = await link.ended();
  clearTimeout(timer);
  return { isSubscribed: wasReady, wasAnswered, reason, refusedVersion, wasHungUp };
}
