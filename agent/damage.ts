import { EXIT, Failure } from '../program/failure.ts';
import { Damage, explainSqlite, isDamage } from '../program/sqlite-error.ts';
import { TlogError } from '../tlog/error.ts';
import { STORE } from './schema.ts';

/** The store does not hold what was written into it. */
export function damagedStore(message: string): Failure {
  return new Failure(EXIT.error, message, {
    hint: 'do not delete the file: what it still holds can be proven',
    cause: new Damage(message),
  });
}

/**
 * The `Failure` that an error means, met while the store at `path` was worked with, where it says that the store does not hold what was
 * written into it. Of what the store holds a `TlogError` says so too: it was well when it was written. Who works on input has to keep
 * its errors from getting here.
 */
export function damageIn(path: string, error: unknown): Failure | undefined {
  const told = explainSqlite(STORE.program, path, error);
  if (told instanceof TlogError) return damagedStore(`${path}: ${told.message}`);
  if (!(told instanceof Failure)) return undefined;
  for (let cause: unknown = told; cause instanceof Error; cause = cause.cause) if (isDamage(cause)) return told;
  return undefined;
}
