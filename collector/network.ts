import { isIPv6 } from 'node:net';

const GROUPS = 8;

/** As much of an address as others can't take at will: all of IPv4, the first 64 bits of IPv6, of which a site has the rest. */
export function networkOf(address: string): string {
  // "::ffff:192.0.2.1" is one of IPv4.
  if (!isIPv6(address) || address.includes('.')) return address;
  // RFC 5952: "::" stands for zeros, once.
  const [first = [], last = []] = address.split('::').map((groups) => groups.split(':').filter((group) => group !== ''));
  const zeros = Array<string>(address.includes('::') ? GROUPS - first.length - last.length : 0).fill('0');
  return [...first, ...zeros, ...last].slice(0, GROUPS / 2).join(':');
}
