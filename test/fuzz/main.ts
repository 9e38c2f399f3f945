import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { watch } from './watch.ts';

const USAGE = `npm run fuzz [-- --seconds 60] [-- --seed N] [-- --only WORD]

Gives every decoder and every handler of what comes from a network inputs that were made from valid ones by change: none may
crash, hang, take more memory than it may, or throw what its contract does not name. Exit 1 if one did.
`;

function natural(word: string, name: string): number {
  if (!/^[0-9]{1,9}$/.test(word)) throw new Error(`--${name}: expected a number, got ${word}`);
  return Number(word);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
      only: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const seed = natural(values.seed, 'seed');
  process.stdout.write(`seed ${seed}, ${values.seconds} s\n`);
  const { inputs, bugs } = await watch({ seed, seconds: natural(values.seconds, 'seconds'), only: values.only }, (line) => {
    process.stdout.write(`${line}\n`);
  });
  for (const [i, { target, input, bytes, error }] of bugs.entries()) {
    const path = join(mkdtempSync(join(tmpdir(), 'tallystick-bug-')), String(i));
    if (bytes !== undefined) writeFileSync(path, bytes);
    const file = bytes === undefined ? '' : `, input in ${path}`;
    process.stdout.write(`\nBUG in ${target}, seed ${seed}, input number ${input}${file}\n${error}\n`);
  }
  process.stdout.write(`\n${inputs} inputs, ${bugs.length} bugs\n`);
  return bugs.length === 0 && inputs > 0 ? 0 : 1;
}

process.exitCode = await main();
