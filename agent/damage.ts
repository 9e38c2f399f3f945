import { EXIT, Failure } from '../program/failure.ts';
import { Damage } from '../program/sqlite-error.ts';

/** The store does not hold what was written into it. */
export function damagedStore(message: string): Failure {
  return new Failure(EXIT.error, message, {
    hint: 'run tallystick-agent verify; do not delete the file: what it still holds can be proven',
    cause: new Damage(message),
  });
}
