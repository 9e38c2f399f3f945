import { Aedes, type PublishPacket } from 'aedes';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { BrokerReport } from './broker-report.ts';

// The gateway's own broker, in a process of its own. It reports to the demo which messages the agent has acknowledged (PUBACK): that
// it took them from a machine itself would prove nothing. Aedes speaks MQTT 3.1.1 only, so the agent falls back to it.

/** The agent's session: `tallystick-<device>`. */
const AGENT = 'tallystick-';
/** More than any outage of the agent here leaves waiting. */
const QUEUE_LIMIT = 100_000;

const aedes = await Aedes.createBroker({ queueLimit: QUEUE_LIMIT });
const server = createServer((socket) => aedes.handle(socket)).listen(0, '127.0.0.1');
await once(server, 'listening');

function report(what: BrokerReport): void {
  if (process.connected) process.send?.(what);
}

aedes.on('ack', (packet, client) => {
  if (!client.id.startsWith(AGENT) || !isMessage(packet)) return;
  report({ kind: 'acknowledged', topic: packet.topic, payload: Buffer.from(packet.payload).toString('base64') });
});

/** Undefined comes for what was acknowledged twice, and is of another kind for QoS 2. */
function isMessage(packet: unknown): packet is Pick<PublishPacket, 'topic' | 'payload'> {
  return typeof packet === 'object' && packet !== null && 'topic' in packet && 'payload' in packet;
}

// Whoever started it is gone, however that ended.
process.once('disconnect', () => process.exit(0));
// Ctrl-C reaches everybody on the terminal; the demo says when this one is to end.
process.on('SIGINT', () => undefined);

report({ kind: 'listening', port: (server.address() as AddressInfo).port });
