import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { beginGeneration, generationPart, openIdentity, openSealer, pathsIn, sealState } from '../../agent/generation.ts';
import { KeyFile } from '../../agent/keys.ts';
import { Store } from '../../agent/store.ts';
import { native } from '../../program/native.ts';
import { verifyEnrolment } from '../../tlog/enrolment.ts';
import { logId, parseOrigin } from '../../tlog/origin.ts';
import { ED25519, parseVkey } from '../../tlog/vkey.ts';
import { messages, NAME, newDevice, temporaryFolder } from './device.ts';
import '../support/bytes-equal.ts';

/** 1, 2, 3, … as 32 bytes each. */
function counting(): () => Uint8Array {
  let n = 0;
  return () => new Uint8Array(32).fill(++n);
}

test('the files of a data folder stand where they are looked for', () => {
  const paths = pathsIn('/data');
  expect([paths.store, paths.lock, paths.keys]).toEqual(['/data/log.db', '/data/lock.db', '/data/keys']);
  expect([paths.identity('0123'), paths.epochs('0123')]).toEqual(['/data/keys/0123.identity', '/data/keys/0123.epochs']);
});

describe('a new generation', () => {
  function begin() {
    const paths = pathsIn(temporaryFolder());
    Store.create(paths.store);
    const store = Store.open(paths.store);
    const row = store.transaction(() => beginGeneration(native, store, paths, NAME, counting()));
    return { paths, store, row };
  }

  test('is named by its key, and its row, keys and enrolment are of one log', () => {
    const { paths, store, row } = begin();
    const identity = openIdentity(native, paths, row);
    expect(identity).toEqual({ name: row.origin, seed: new Uint8Array(32).fill(1) });
    expect(parseOrigin(row.origin)).toEqual({ ...NAME, generation: generationPart(row) });
    const enrolment = verifyEnrolment(native, row.enrolment);
    expect(enrolment.identity).toEqual(parseVkey(native, row.vkey, ED25519));
    expect(enrolment.sealKey).toEqual(native.publicKey(new Uint8Array(32).fill(2)));
    expect(enrolment.previousReceipt).toBeUndefined();
    expect(enrolment.previousCheckpoint).toBeUndefined();
    const id = logId(native, enrolment.identity);
    expect(KeyFile.read(paths.epochs(generationPart(row)), native, id)).toMatchObject([{ k: 0, publicKey: enrolment.sealKey }]);
    expect([...store.rows.epochs(0)]).toEqual([{ k: 0, start: 0, saltKey: Buffer.alloc(32, 3), salts: null }]);
    expect(sealState(native, store.rows, row)).toEqual({ logId: id, k: 0, size: 0, publicKey: enrolment.sealKey });
    store.close();
  });

  test('never uses a random number twice', () => {
    const { row, store, paths } = begin();
    const seeds = [openIdentity(native, paths, row)?.seed[0], [...store.rows.epochs(0)][0]?.saltKey?.[0]];
    expect(new Set(seeds).size).toBe(2);
    store.close();
  });

  test('has its key files before its row, in a folder for the owner only', () => {
    const { paths, store, row } = begin();
    expect(statSync(paths.keys).mode & 0o777).toBe(0o700);
    expect(readdirSync(paths.keys).sort()).toEqual([`${generationPart(row)}.epochs`, `${generationPart(row)}.identity`]);
    store.close();
  });

  test('that is not committed leaves keys only, and another one gets other keys', () => {
    const paths = pathsIn(temporaryFolder());
    Store.create(paths.store);
    const store = Store.open(paths.store);
    expect(() =>
      store.transaction(() => {
        beginGeneration(native, store, paths, NAME, counting());
        throw new Error('broke off');
      }),
    ).toThrow('broke off');
    expect(store.rows.logs()).toEqual([]);
    const row = store.transaction(() => beginGeneration(native, store, paths, NAME, () => new Uint8Array(32).fill(77)));
    expect(store.rows.logs()).toHaveLength(1);
    expect(readdirSync(paths.keys)).toHaveLength(4);
    expect(openIdentity(native, paths, row)).toBeDefined();
    store.close();
  });
});

describe('what must be sealed next', () => {
  test('follows from the newest seal, and only that key opens the sealer', () => {
    const device = newDevice();
    device.with((writer) => writer.append(messages(7)), { entries: 3, bytes: 65_536 });
    const store = Store.open(device.paths.store);
    const [row] = store.rows.logs();
    if (row === undefined) throw new Error('expected a log');
    const state = sealState(native, store.rows, row);
    expect(state).toMatchObject({ k: 2, size: 6, publicKey: store.rows.lastSeal(0)?.nextPublicKey });
    const open = (publicKey: Uint8Array): boolean => {
      const sealer = openSealer(native, device.paths, row, { ...state, publicKey }, counting());
      sealer?.close();
      return sealer !== undefined;
    };
    expect(open(store.rows.lastSeal(0)?.publicKey ?? new Uint8Array())).toBe(false);
    expect(open(state.publicKey)).toBe(true);
    rmSync(device.epochFile());
    expect(open(state.publicKey)).toBe(false);
    store.close();
  });

  test('there is no identity where its file is gone', () => {
    const device = newDevice();
    const [row] = device.logs();
    if (row === undefined) throw new Error('expected a log');
    expect(openIdentity(native, device.paths, row)?.name).toBe(row.origin);
    expect(openIdentity(native, pathsIn(join(device.folder, 'elsewhere')), row)).toBeUndefined();
  });
});
