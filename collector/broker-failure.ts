import { EXIT, Failure } from '../program/failure.ts';

/** CONNACK of MQTT 3.1.1 §3.2.2.3: nothing is wrong with who comes. */
const SERVER_UNAVAILABLE = 3;

/** To be told to who is not let in now, and may be later. */
export function unavailable(reason: string): Error & { returnCode: number } {
  return Object.assign(new Error(reason), { returnCode: SERVER_UNAVAILABLE });
}

/** What to do, by what the system says. */
const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE:
    "another program listens there (a broker, another collector): stop it, or set broker.port, and the agents' uplink.url, to another",
  EACCES: "ports below 1024 are not for everybody: set broker.port, and the agents' uplink.url, to a higher one",
  EADDRNOTAVAIL: 'set broker.host to an address of this machine, or to 0.0.0.0 for all that it has',
  ENOTFOUND: 'set broker.host to an address of this machine, or to 0.0.0.0 for all that it has',
};

/** Of a server that can't listen. */
export function notListening({ host, port }: { readonly host: string; readonly port: number }, error: unknown): Failure {
  const got = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  const hint = REMEDIES[got] ?? 'set broker.host and broker.port to what this machine can listen on';
  return new Failure(EXIT.error, `broker.port: expected to listen on port ${port} of broker.host (${host}), got ${got}`, {
    hint,
    cause: error,
  });
}
