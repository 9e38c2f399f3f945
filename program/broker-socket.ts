import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Credentials } from './credentials.ts';

/** A broker somewhere else, and as whom to come to it. */
export interface Broker extends Credentials {
  /** `mqtt://host:port`, `mqtts://host:port` or `mqtt+unix:///path` */
  readonly url: string;
}

export const BROKER_URL = 'mqtt://host:port, mqtts://host:port or mqtt+unix:///path, with neither user nor password';

/** Whether it is a {@link BROKER_URL}. */
export function isBrokerUrl(word: string): boolean {
  if (!URL.canParse(word)) return false;
  const { protocol, hostname, pathname, username, password, search, hash } = new URL(word);
  if (username !== '' || password !== '' || search !== '' || hash !== '') return false;
  if (protocol === 'mqtt+unix:') return hostname === '' && pathname.startsWith('/') && isPath(pathname);
  return (protocol === 'mqtt:' || protocol === 'mqtts:') && hostname !== '' && (pathname === '' || pathname === '/');
}

/** Whether it is what {@link openSocket} can make a path of. */
function isPath(encoded: string): boolean {
  try {
    return !decodeURIComponent(encoded).includes('\0');
  } catch (error) {
    if (error instanceof URIError) return false;
    throw error;
  }
}

/** Begins to connect; what goes wrong is told by the socket. */
export function openSocket({ url, tls }: Broker): Socket {
  const { protocol, hostname, port, pathname } = new URL(url);
  // An address of IPv6 stands in brackets.
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  if (protocol === 'mqtt+unix:') return connectTcp(decodeURIComponent(pathname));
  if (protocol === 'mqtt:') return connectTcp({ host, port: Number(port || 1883), noDelay: true });
  const given = Object.fromEntries(Object.entries(tls).filter(([, pem]) => pem !== undefined));
  // RFC 6066 §3: an address is no server name.
  const servername = hostname === host && !/^[0-9.]+$/.test(host) ? { servername: host } : {};
  return connectTls({ host, port: Number(port || 8883), ...servername, ...given });
}
