import { formatVkey } from '../../tlog/vkey.ts';
import type { VerifierKey } from '../../tlog/vkey.ts';
import { anchorOf, buildFleetLog } from '../support/fleet-log.ts';
import { collectorSigner, cosignerKey, fleetLogSigner, fleetSigner, noteKey, witnessSigner } from '../support/fleet.ts';
import { buildLog } from '../support/log.ts';

// The logs that all vectors are of. Who changes these changes every vector.

const VALVE_EPOCHS = [
  ['{"open":0}', '{"open":1}'],
  ['{"open":2}', '{"open":3}', '{"open":4}'],
];
/** Another device of the fleet, which was there before. */
export const valve = buildLog({ seed: 2, device: 'valve-1', epochs: VALVE_EPOCHS });
/** The fleet log as it was before the device's first entry. */
export const earlier = buildFleetLog(valve.fleetNotes());

const EPOCHS = [
  [
    anchorOf(earlier.checkpointAt(earlier.size)),
    { payload: '{"bar":4.2}', attributes: [['content-type', 'application/json']] as const },
  ],
  [
    { payload: 'withheld', carried: 'withheld' as const, attributes: [['mqtt.qos', '1']] as const },
    { payload: 'x'.repeat(90), carried: 'large' as const },
    '{"bar":4.3}',
  ],
  ['{"bar":4.4}', '{"bar":4.5}'],
  ['{"bar":4.6}'],
];

export const log = buildLog({ seed: 1, epochs: EPOCHS });
/** The same keys, another history from entry 2 on. */
export const twin = buildLog({ seed: 1, epochs: EPOCHS.map((messages, k) => (k === 1 ? ['a', 'b', 'c'] : messages)) });
export const TOKEN = new Uint8Array(32).fill(7);
/** The next generation of the device. */
export const next = buildLog({ seed: 3, previous: log, token: TOKEN, epochs: [['{"bar":4.7}']] });
export const fleet = buildFleetLog([...valve.fleetNotes(), ...log.fleetNotes()]);

const vkey = (key: VerifierKey): string => formatVkey(key);

export const VKEYS = {
  identity: vkey(log.identityKey),
  valve: vkey(valve.identityKey),
  next: vkey(next.identityKey),
  fleet: vkey(noteKey(fleetSigner)),
  collector: vkey(cosignerKey(collectorSigner)),
  fleetLog: vkey(noteKey(fleetLogSigner)),
  witness: vkey(cosignerKey(witnessSigner)),
};

export function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('expected a value, got undefined');
  return value;
}
