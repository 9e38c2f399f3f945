import { FLEET_CHECKPOINT, formatTopic, FROM_DEVICE, parseTopic, TO_DEVICE } from './topic.ts';

/** Who is at the other end of a connection to the embedded broker: a device by its name, or the collector. */
export type Principal = { readonly device: string } | 'collector';

/** A device publishes in its own name, the collector to all. */
export function mayPublish(who: Principal, topic: string): boolean {
  if (who !== 'collector') return FROM_DEVICE.some((kind) => topic === formatTopic({ device: who.device, kind }));
  return topic === FLEET_CHECKPOINT || TO_DEVICE.some((kind) => parseTopic(topic)?.kind === kind);
}

/** A device hears what it is told, and the fleet log's checkpoints; no filter with a wildcard. */
export function maySubscribe(who: Principal, filter: string): boolean {
  if (who === 'collector' || filter === FLEET_CHECKPOINT) return true;
  return TO_DEVICE.some((kind) => filter === formatTopic({ device: who.device, kind }));
}

/** Of what a device publishes only this may be kept for those who come later: more would be memory that it can fill. */
export function mayRetain(who: Principal, topic: string): boolean {
  return who === 'collector' || topic === formatTopic({ device: who.device, kind: 'status' });
}
