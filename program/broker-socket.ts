import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Credentials } from './credentials.ts';

/** A broker somewhere else, and as whom to come to it. */
export interface Broker extends Credentials {
  /** `mqtt://host:port`, `mqtts://host:port` or `mqtt+unix:///path` */
  readonly url: string;
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
