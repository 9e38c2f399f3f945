/** What devices send, by the last part of the topic: `tallystick/v1/<device>/<kind>`. */
export const KINDS = ['enroll', 'segment', 'checkpoint'] as const;
export type Kind = (typeof KINDS)[number];

/** A message as it came. */
export interface Message {
  readonly kind: Kind;
  /** As the topic names it. */
  readonly device: string;
  readonly bytes: Uint8Array;
}
