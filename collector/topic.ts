/** FORMAT.md §11: `tallystick/v1/<device>/<kind>`, and one topic of the fleet itself. */
const ROOT = 'tallystick/v1';

export const FLEET_CHECKPOINT = `${ROOT}/fleet/checkpoint`;
/** What devices publish … */
export const FROM_DEVICE = ['enroll', 'segment', 'checkpoint', 'status'] as const;
/** … and what they are told. */
export const TO_DEVICE = ['admission', 'receipt'] as const;

export interface Topic {
  readonly device: string;
  readonly kind: string;
}

export function formatTopic({ device, kind }: Topic): string {
  return `${ROOT}/${device}/${kind}`;
}

/** Undefined where it is none of ours. Whether there is such a device is another question. */
export function parseTopic(topic: string): Topic | undefined {
  const [, device, kind] = /^tallystick\/v1\/([^/]*)\/([^/]*)$/.exec(topic) ?? [];
  return device === undefined || kind === undefined ? undefined : { device, kind };
}
