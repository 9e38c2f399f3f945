import { existsSync } from 'node:fs';
import { isOfService, readCredentials, readFile, tryCredentials } from '../program/credentials.ts';
import { EXIT, Failure } from '../program/failure.ts';
import { deflate, native } from '../program/native.ts';
import { decodeBase64 } from '../tlog/bytes.ts';
import { TlogError } from '../tlog/error.ts';
import { COSIGNATURE, ED25519, parseVkey } from '../tlog/vkey.ts';
import type { AgentConfig } from './config.ts';
import { openIdentity, pathsIn } from './generation.ts';
import type { LogRow } from './row.ts';
import type { UplinkOptions } from './uplink-options.ts';
import type { Writer } from './writer.ts';

const TOKEN_BYTES = 32;

/**
 * What the section `[uplink]` says, its files read; undefined where nothing is to be delivered. `Failure` (exit 78) where a file can't
 * be used.
 */
export function uplinkOptions(
  { store, uplink }: AgentConfig,
  writer: Writer,
): Omit<UplinkOptions, 'logger' | 'signal' | 'nowMs' | 'random'> | undefined {
  if (uplink.url === '') return undefined;
  const paths = pathsIn(store.directory);
  return {
    writer,
    parts: {
      suite: native,
      store: writer.store,
      deflate,
      fleet: parseVkey(native, uplink.fleet_key, ED25519),
      collector: parseVkey(native, uplink.collector_key, COSIGNATURE),
      token: uplink.token_file === '' ? undefined : tokenOf(writer.row, uplink.token_file),
    },
    broker: { url: uplink.url, ...readCredentials('uplink', uplink) },
    keepAliveSeconds: uplink.keep_alive_s,
    stallMs: uplink.stall_s * 1000,
    giveUpMs: uplink.give_up_s === 0 ? Infinity : uplink.give_up_s * 1000,
    identityOf: (row) => openIdentity(native, paths, row),
  };
}

/** Tries the files of the section as {@link uplinkOptions} would; names the settings of those that only the service has. */
export function tryUplink({ uplink }: AgentConfig): string[] {
  if (uplink.url === '') return [];
  const away = tryCredentials('uplink', uplink);
  if (isOfService(uplink.token_file)) return [...away, 'uplink.token_file'];
  // Whether the log is admitted, and needs none any more, is for the store to say.
  if (uplink.token_file !== '' && existsSync(uplink.token_file)) readToken(uplink.token_file);
  return away;
}

/** It may be deleted once it was used: an admitted log starts without. */
function tokenOf({ admission }: LogRow, path: string): Uint8Array | undefined {
  return admission === null || existsSync(path) ? readToken(path) : undefined;
}

/** Base64 of 32 bytes, as `tallystick-collector token create` printed it. */
function readToken(path: string): Uint8Array {
  try {
    const token = decodeBase64(readFile('uplink.token_file', path).trimEnd());
    if (token.length === TOKEN_BYTES) return token;
  } catch (error) {
    if (!(error instanceof TlogError)) throw error;
  }
  throw new Failure(
    EXIT.config,
    `uplink.token_file: expected the base64 of ${TOKEN_BYTES} bytes, got something else in ${path}`,
    {
      hint: 'write into it what tallystick-collector token create printed',
    },
  );
}
