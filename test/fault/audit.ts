import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { native } from '../../program/native.ts';
import { COSIGNATURE, formatVkey, signerKey } from '../../tlog/vkey.ts';
import { collectorSigner } from '../support/fleet.ts';
import { AUDIT, execute, type Machine } from './program.ts';

/** What became of messages, each of which has a payload of its own, after a fault. */
export interface Account {
  readonly acknowledged: number;
  /** Of the acknowledged ones. */
  readonly found: number;
  readonly lost: readonly string[];
  /** Found more than once, but for those that moved into a next log and say so. */
  readonly doubled: readonly string[];
  /** Verdict of `tallystick-audit replay` of an export of everything. */
  readonly verdict: string;
}

/** Walks all that a machine's store holds by the shipped programs: its own `verify`, an export of it, and the auditor on that. */
export async function account(machine: Machine, acknowledged: readonly string[]): Promise<Account> {
  const verified = await machine.agent(['verify']);
  expect(verified, verified.out).toMatchObject({ code: 0 });
  const exported = join(machine.folder, `export-${Math.random()}`);
  expect(await machine.agent(['export', exported])).toMatchObject({ code: 0, err: '' });
  const trust = join(machine.folder, 'trust.txt');
  const devices = machine.device.logs().map(
    ({ vkey }) => `device ${vkey}
`,
  );
  writeFileSync(
    trust,
    `collector ${formatVkey(signerKey(native, collectorSigner, COSIGNATURE))}
${devices.join('')}`,
  );
  const audited = await execute([process.execPath, AUDIT, 'replay', exported, '--trust', trust, '--json']);
  const { verdict } = JSON.parse(audited.out) as { verdict: string };
  return { ...count(machine, acknowledged), verdict };
}

/** {@link account} without the auditor. */
export function count({ device }: Pick<Machine, 'device'>, acknowledged: readonly string[]): Omit<Account, 'verdict'> {
  const times = new Map<string, number>();
  for (const { number } of device.logs()) {
    for (const { header, payload } of device.entries(number)) {
      if (header.source === '$agent') continue;
      const text = Buffer.from(payload ?? '').toString();
      const isMoved = header.attributes.some(([key]) => key === '$index');
      times.set(text, Math.max(1, (times.get(text) ?? 0) + (isMoved ? 0 : 1)));
    }
  }
  const lost = acknowledged.filter((payload) => !times.has(payload));
  const doubled = [...times].filter(([, many]) => many > 1).map(([payload]) => payload);
  return { acknowledged: acknowledged.length, found: acknowledged.length - lost.length, lost, doubled };
}
