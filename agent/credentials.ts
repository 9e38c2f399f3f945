import { readFileSync } from 'node:fs';
import { EXIT, Failure } from '../program/failure.ts';

/** Where the secrets of a connection to a broker lie; "" where there is none. */
export interface CredentialFiles {
  readonly username: string;
  readonly password_file: string;
  readonly ca_file: string;
  readonly cert_file: string;
  readonly key_file: string;
}

export interface Credentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** PEM */
  readonly tls: { readonly ca: string | undefined; readonly cert: string | undefined; readonly key: string | undefined };
}

/** Reads them; `section` names where they are configured. `Failure` (exit 78) where a file can't be read. */
export function readCredentials(section: string, files: CredentialFiles): Credentials {
  const read = (key: keyof CredentialFiles): string | undefined => {
    if (files[key] === '') return undefined;
    try {
      return readFileSync(files[key], 'utf8');
    } catch (error) {
      const got = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      throw new Failure(EXIT.config, `${section}.${key}: expected a readable file, got ${got} for ${files[key]}`, { cause: error });
    }
  };
  return {
    username: files.username === '' ? undefined : files.username,
    password: read('password_file')?.replace(/\r?\n$/, ''),
    tls: { ca: read('ca_file'), cert: read('cert_file'), key: read('key_file') },
  };
}
