/** CONNACK codes of a broker that speaks another version: of MQTT 3.1.1 §3.2.2.3 and of MQTT 5 §3.2.2.2. */
const REFUSED_VERSION = [1, 0x84];
/** How MQTT.js tells the codes of a CONNACK that says no, and of these those that stay until somebody changes something. */
const REFUSED_US = [
  'Identifier rejected',
  'Client Identifier not valid',
  'Bad username or password',
  'Bad User Name or Password',
  'Not authorized',
  'Banned',
  'Bad authentication method',
].map((words) => `Connection refused: ${words}`);
const REFUSED_FILTERS = 'the broker refused to let ';
/** What Node and OpenSSL say of a peer that does not know what a TLS handshake is: it hangs up, or answers in its own words. */
const NO_TLS = /before secure TLS connection was established|wrong version number/;
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

/** The reason of a connection that is of no use, as its filters were refused. */
export function refusedFilters(username: string | undefined, filters: readonly string[]): string {
  return `${REFUSED_FILTERS}${username ?? 'a client without a name'} subscribe to ${filters.join(', ')}`;
}

/** Of the reason of a connection that ended: whether the broker is there and wants nothing of who we say we are. */
export function isRefusedUs(reason: string | null): boolean {
  return reason !== null && [...REFUSED_US, REFUSED_FILTERS].some((words) => reason.startsWith(words));
}

/** In words for a technician. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Of a name with several addresses Node tells an error that has only a code.
  if (error.message === '' && 'code' in error) return String(error.code);
  return NO_TLS.test(error.message)
    ? `${error.message}; the port may speak no TLS: that is mqtt://, mqtts:// has a port of its own`
    : error.message;
}
