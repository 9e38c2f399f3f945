import type { Command } from 'commander';
import { randomBytes } from 'node:crypto';
import { printResult } from '../program/command.ts';
import { EXIT, Failure } from '../program/failure.ts';
import { native } from '../program/native.ts';
import { visible } from '../program/visible.ts';
import { encodeBase64 } from '../tlog/bytes.ts';
import { formatSeconds, nowSeconds } from './clock.ts';
import { loadConfig, reading, storePath, working, type Context } from './context.ts';
import { findDevice, listDevices, type Device } from './device.ts';
import { approve, retire } from './enrol.ts';
import { createPassword, hashPassword } from './password.ts';
import type { TokenRow } from './row.ts';
import { Store } from './store.ts';
import { createToken } from './token.ts';

export async function devicesList(_: object, command: Command, context: Context): Promise<void> {
  const { values } = loadConfig(command, context);
  const devices = await reading(values, (store) => listDevices(native, store));
  printResult(context.terminal, command, {
    json: devices,
    text: devices.length === 0 ? 'no device has said hello yet' : devices.map(formatDevice).join('\n'),
  });
}

export function devicesApprove(words: string[], _: object, command: Command, context: Context): void {
  const { values } = loadConfig(command, context);
  working(values, (parts) => {
    const { origin } = findDevice(listDevices(native, parts.store), words);
    const { text } = approve(parts, origin, nowSeconds());
    printResult(context.terminal, command, { json: { origin, standing: 'admitted' }, text });
  });
}

export function devicesRetire(words: string[], options: { reason: string }, command: Command, context: Context): void {
  const { values } = loadConfig(command, context);
  working(values, (parts) => {
    const { origin } = findDevice(listDevices(native, parts.store), words);
    retire(parts, origin, options.reason);
    printResult(context.terminal, command, {
      json: { origin, standing: 'retired', reason: options.reason },
      text: `${origin} is retired: nothing more is taken of it, what is held stays`,
    });
  });
}

export async function devicesPassword(
  device: string,
  options: { remove?: true },
  command: Command,
  context: Context,
): Promise<void> {
  const { values } = loadConfig(command, context);
  const store = Store.open(storePath(values), 'write');
  try {
    if (options.remove === true) {
      if (!store.transaction(() => store.passwords.remove(device))) {
        throw new Failure(EXIT.error, `${device}: expected a device with a password, got one without`);
      }
      const text = `${device} can't connect to the embedded broker any more`;
      printResult(context.terminal, command, { json: { device, removed: true }, text });
      return;
    }
    const password = createPassword();
    const hash = await hashPassword(password);
    store.transaction(() => {
      store.passwords.put(device, hash);
    });
    context.terminal.stderr.write(`password of ${device} at the embedded broker; it is shown only now\n`);
    printResult(context.terminal, command, { json: { device, password }, text: password });
  } finally {
    store.close();
  }
}

export function tokenCreate(options: { device?: string; count?: number }, command: Command, context: Context): void {
  const { device, count } = options;
  if (device !== undefined && count !== undefined) {
    throw new Failure(EXIT.usage, 'token: expected --device or --count, got both');
  }
  const { values } = loadConfig(command, context);
  working(values, ({ suite, store }) => {
    const whom = device === undefined ? { count: count ?? 1 } : { device };
    const { number, token } = createToken({ suite, store }, whom, () => randomBytes(32), nowSeconds());
    const text = encodeBase64(token);
    const use = device === undefined ? `${count ?? 1} of any name` : `${device}, once`;
    context.terminal.stderr.write(`token ${number} admits ${use}; it is shown only now, and is to be kept as a key is\n`);
    printResult(context.terminal, command, { json: { number, token: text }, text });
  });
}

export async function tokenList(_: object, command: Command, context: Context): Promise<void> {
  const { values } = loadConfig(command, context);
  const tokens = await reading(values, (store) => store.enrolments.tokens());
  printResult(context.terminal, command, {
    json: tokens.map(({ key, ...token }) => ({ ...token, key: encodeBase64(key) })),
    text: tokens.length === 0 ? 'there are no tokens' : tokens.map(formatToken).join('\n'),
  });
}

export function tokenRevoke(number: number, _: object, command: Command, context: Context): void {
  const { values } = loadConfig(command, context);
  working(values, ({ store }) => {
    if (!store.transaction(() => store.enrolments.revokeToken(number, nowSeconds()))) {
      throw new Failure(EXIT.error, `token ${number}: expected one that is not revoked, got none`);
    }
  });
  printResult(context.terminal, command, { json: { number, revoked: true }, text: `token ${number} admits nobody any more` });
}

function formatDevice(device: Device): string {
  const { origin, standing, reason, size, heard, previous } = device;
  const lines = [
    `${standing.padEnd(8)}  ${origin}`,
    `          fingerprint  ${device.fingerprint}`,
    `          entries      ${size.toLocaleString('en-US')}, ${heard === 0 ? 'never heard' : `heard ${formatSeconds(heard)}`}`,
  ];
  if (previous !== null) lines.push(`          signed too   by the identity key of ${previous}`);
  if (reason !== null) lines.push(`          because      ${visible(reason)}`);
  return lines.join('\n');
}

function formatToken({ number, device, count, used, created, revoked }: TokenRow): string {
  const state =
    revoked !== null ? `revoked ${formatSeconds(revoked)}` : used === count ? 'used up' : `${count - used} of ${count} left`;
  return `${String(number).padStart(4)}  ${(device ?? 'any device').padEnd(24)}  created ${formatSeconds(created)}  ${state}`;
}
