import { spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readings } from './readings.ts';

const { values } = parseArgs({
  options: { replay: { type: 'string' }, messages: { type: 'string', default: '5000' }, seed: { type: 'string', default: '1' } },
});

const folder = mkdtempSync(join(tmpdir(), 'tallystick-'));
const programs = resolve(import.meta.dirname);
const config = join(folder, 'agent.toml');
const trust = join(folder, 'trust.txt');
const input = values.replay ?? join(folder, 'messages.ndjson');
/** What did not end as it should. */
const troubles: string[] = [];

/** Runs a shipped program as a process of its own and shows what a person would see. */
function run(program: string, args: readonly string[], expected: number, stdin: 'ignore' | number = 'ignore'): string {
  process.stdout.write(`\n$ ${program} ${args.join(' ')}${typeof stdin === 'number' ? ` < ${input}` : ''}\n`);
  const { status, stdout } = spawnSync(process.execPath, [join(programs, `${program}.js`), ...args], {
    stdio: [stdin, 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  process.stdout.write(stdout);
  if (status !== expected) {
    process.stdout.write(`exit ${status}, expected ${expected}\n`);
    troubles.push(program);
  }
  return stdout;
}

function agent(args: readonly string[], stdin: 'ignore' | number = 'ignore'): string {
  return run('tallystick-agent', ['--config', config, ...args], 0, stdin);
}

function say(text: string): void {
  process.stdout.write(`\n== ${text}\n`);
}

say('A gateway gets its keys. What anybody needs to check it later is the public key.');
const store = ['--set', `store.directory=${join(folder, 'data')}`];
const init = agent(['init', '--fleet', 'example', '--device', 'press-7', ...store]);
const key = /^public key +(\S+)$/m.exec(init)?.[1] ?? '';
writeFileSync(trust, `device ${key}\n`);

say('It records messages of machines: hash-chained, sealed, on the disk before the command says so.');
if (values.replay === undefined) writeFileSync(input, readings(Number(values.seed), Number(values.messages)));
agent(['append'], openSync(input, 'r'));
agent(['status']);
agent(['tail', '-n', '3']);
agent(['verify']);

say('One entry is proven to somebody who trusts nothing but the public key.');
const evidence = join(folder, 'entry-1234.tally.json');
agent(['proof', '1234', '--out', evidence]);
run('tallystick-audit', ['evidence', evidence, '--trust', trust], 0);

say('The whole log is exported. In a copy one byte of one payload is changed; the auditor names the entry.');
const exported = join(folder, 'log.tally');
const copy = join(folder, 'changed.tally');
agent(['export', exported]);
run('tallystick-audit', ['replay', exported, '--trust', trust], 0);
const bytes = readFileSync(exported);
const at = bytes.indexOf('"value":', Math.floor(bytes.length / 2)) + 9;
bytes[at] = (bytes[at] ?? 0) ^ 1;
writeFileSync(copy, bytes);
run('tallystick-audit', ['replay', copy, '--trust', trust], 3);

rmSync(folder, { recursive: true });
const isWell = troubles.length === 0;
process.stdout.write(isWell ? '\nAll of it went as it should.\n' : '\nSomething did not go as it should, see above.\n');
process.exitCode = isWell ? 0 : 1;
