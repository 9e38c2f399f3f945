import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A file of ../shared/vectors, next to the clone. Missing is a failure, never a reason to skip. */
export function readVectors(file: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../../../shared/vectors', file), 'utf8'));
}
