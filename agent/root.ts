import { TlogError } from '../tlog/error.ts';
import { rootOf } from '../tlog/merkle.ts';
import { logId } from '../tlog/origin.ts';
import { verifySeal } from '../tlog/seal.ts';
import type { Suite } from '../tlog/suite.ts';
import { ED25519, parseVkey } from '../tlog/vkey.ts';
import { damagedStore } from './damage.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';

/**
 * The root of the first `size` entries; undefined past the log's end. That of a seal, which mostly stays where the entries are pruned
 * that it follows from. `damagedStore` where its row is not what was signed: it would be taken for another history than somebody else's.
 */
export function rootAt(suite: Suite, rows: Rows, { number, vkey }: LogRow, size: number): Uint8Array | 'pruned' | undefined {
  const seal = rows.sealCovering(number, size);
  if (seal?.size !== size) {
    if (size > rows.size(number)) return undefined;
    return size < rows.firstHeld(number) ? 'pruned' : rootOf(suite, size, rows.subtree(suite, number));
  }
  try {
    verifySeal(suite, { ...seal, logId: logId(suite, parseVkey(suite, vkey, ED25519)) });
  } catch (error) {
    throw error instanceof TlogError ? damagedStore(`store: ${error.message}`) : error;
  }
  return seal.root;
}
