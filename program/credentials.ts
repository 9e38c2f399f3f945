import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { EXIT, exitOfUnread, Failure, hintOfUnread } from './failure.ts';

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

/** Reads them; `section` names where they are configured. `Failure` (exit 78) where a file can't be read or used. */
export function readCredentials(section: string, files: CredentialFiles): Credentials {
  const read = (key: keyof CredentialFiles): string | undefined =>
    files[key] === '' ? undefined : readFile(`${section}.${key}`, files[key]);
  const tls = { ca: read('ca_file'), cert: read('cert_file'), key: read('key_file') };
  checkPem(section, tls);
  return {
    username: files.username === '' ? undefined : files.username,
    password: read('password_file')?.replace(/\r?\n$/, ''),
    tls,
  };
}

/**
 * Tries those that are here as {@link readCredentials} would; names the settings of those that only the service has, which can't be
 * tried.
 */
export function tryCredentials(section: string, files: CredentialFiles): string[] {
  const away = (['password_file', 'ca_file', 'cert_file', 'key_file'] as const).filter((key) => isOfService(files[key]));
  const here = { ...files, ...Object.fromEntries(away.map((key) => [key, ''])) };
  if ((files.cert_file === '') !== (files.key_file === '')) throw halfPair(section);
  // Whether they fit together can't be said of one of them.
  const alone = (['cert_file', 'key_file'] as const).filter((key) => here[key] !== '');
  if (alone.length === 1) for (const key of alone) readFile(`${section}.${key}`, here[key]);
  readCredentials(section, alone.length === 1 ? { ...here, cert_file: '', key_file: '' } : here);
  return away.map((key) => `${section}.${key}`);
}

/** The text of a file that the setting `key` names. `Failure` (exit 78) where it can't be read. */
export function readFile(key: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const got = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const hint = isOfService(path) ? 'only the service has it, from LoadCredential= in its unit' : hintOfUnread(error);
    throw new Failure(exitOfUnread(error), `${key}: expected a readable file, got ${got} for ${path}`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** Whether it lies in `$CREDENTIALS_DIRECTORY`, and this is not the service, which alone has that. */
export function isOfService(path: string): boolean {
  return path.startsWith('$');
}

/** Certificates and keys that OpenSSL does not take would otherwise show at the first connection. */
export function checkPem(section: string, { ca, cert, key }: Credentials['tls']): void {
  if ((cert === undefined) !== (key === undefined)) throw halfPair(section);
  try {
    // OpenSSL passes over what is no certificate among those to trust.
    if (ca !== undefined) new X509Certificate(ca);
    createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined || key === undefined ? {} : { cert, key }),
    });
  } catch (error) {
    const got = error instanceof Error ? error.message : String(error);
    throw new Failure(
      EXIT.config,
      `${section}: expected certificates and a key (PEM) that fit together, got what OpenSSL refuses (${got})`,
      {
        cause: error,
      },
    );
  }
}

function halfPair(section: string): Failure {
  return new Failure(EXIT.config, `${section}: expected cert_file and key_file together, got one of them`);
}
