import { fail, pass, type Finding } from '../program/finding.ts';
import { equal } from '../tlog/bytes.ts';
import type { SealState } from '../tlog/seal.ts';
import type { Suite } from '../tlog/suite.ts';
import { generationPart, openIdentity, type Paths } from './generation.ts';
import { KeyFile } from './keys.ts';
import type { LogRow } from './row.ts';
import type { Rows } from './rows.ts';

/** Times the keys are read until they fit the seals, which a running agent may be making. */
const MAX_TRIES = 5;

const IDENTITY = 'identity key';
const EPOCH = 'epoch key';

/** Whether a finding is of {@link checkKeys}, and so of no fault in the store. */
export function isOfKeys({ what }: Finding): boolean {
  return what === IDENTITY || what === EPOCH;
}

/** The log that grows must have its identity key, and the key that seals next. Errors of the system go through. */
export function checkKeys(suite: Suite, rows: Rows, row: LogRow, state: SealState, paths: Paths): Finding[] {
  if (row.closed !== null) return [];
  const findings = [
    openIdentity(suite, paths, row) === undefined
      ? fail(IDENTITY, `${paths.identity(generationPart(row))}: expected the key of ${row.origin}, got none or a damaged one`)
      : pass(IDENTITY, 'is that of the log'),
  ];
  const path = paths.epochs(generationPart(row));
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const last = rows.lastSeal(row.number);
    const wanted = last === undefined || last.k < state.k ? state.publicKey : last.nextPublicKey;
    const keys = KeyFile.read(path, suite, state.logId);
    if (keys.some(({ publicKey }) => equal(publicKey, wanted))) {
      return [...findings, pass(EPOCH, `seal ${last === undefined ? 0 : last.k + 1} can be made`)];
    }
  }
  return [...findings, fail(EPOCH, `${path}: expected the key of seal ${state.k}, got none`)];
}
