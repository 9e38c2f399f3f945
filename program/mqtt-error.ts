/** CONNACK codes of a broker that speaks another version: of MQTT 3.1.1 §3.2.2.3 and of MQTT 5 §3.2.2.2. */
const REFUSED_VERSION = [1, 0x84];
/** Of a peer that is no longer there. */
const GONE = ['ECONNRESET', 'EPIPE'];

/** What the errors of a connection to a broker mean. */
export function isRefusedVersion(error: Error): boolean {
  return 'code' in error && REFUSED_VERSION.some((code) => code === error.code);
}

/** Whether the peer broke it off. */
export function isGone(error: Error): boolean {
  return 'code' in error && GONE.some((code) => code === error.code);
}

/** Whether it is a reason code, MQTT 5 §3.4.2.1. */
export function isRefusal(error: Error | null | undefined): error is Error {
  return error !== undefined && error !== null && 'code' in error && typeof error.code === 'number';
}

/** In words for a technician. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Of a name with several addresses Node tells an error that has only a code.
  return error.message === '' && 'code' in error ? String(error.code) : error.message;
}
