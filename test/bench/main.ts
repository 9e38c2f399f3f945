import { fileURLToPath } from 'node:url';
import { dirname, join } from 'node:path';
import { measureAppend } from './append.ts';
import { measureCapture, publishTo } from './capture.ts';
import { measureCollect } from './collect.ts';
import { measureDisk } from './disk.ts';
import { measureDrain } from './drain.ts';
import { appendForEver, measureDurability } from './durability.ts';
import { measureEvidence } from './evidence.ts';
import { inFolder } from './folder.ts';
import { measureIdle } from './idle.ts';
import { measureLoad } from './load.ts';
import { describeMachine } from './machine.ts';
import { makeMessages, PAYLOAD_BYTES } from './messages.ts';
import { OURS } from './ours.ts';
import { findHypercore, installPeers } from './peers.ts';
import { PLAIN } from './plain.ts';
import { publishLines } from './publisher.ts';
import { makeReadings } from './readings.ts';
import type { Side } from './side.ts';
import { formatTable, type Line } from './table.ts';
import { measureVerify } from './verify.ts';
import { measureWire } from './wire.ts';

/** How much is measured. */
const FULL = { times: 5, scale: 1, entries: 1_000_000, groupsBeforeKill: 500, settleMs: 25_000, samples: 21, loadSeconds: 60 };
const QUICK = { times: 3, scale: 0.25, entries: 100_000, groupsBeforeKill: 100, settleMs: 25_000, samples: 9, loadSeconds: 15 };

const PLANS = [
  { measure: 'append in groups of 1,000', group: 1000, messages: 200_000, atLeast: 0.33 },
  { measure: 'append in groups of 64', group: 64, messages: 64_000, atLeast: 0.5 },
  { measure: 'append one by one', group: 1, messages: 4000, atLeast: 0.85 },
];
const CAPTURED = 200_000;
const LOADS = [
  { rate: 10, atMostMb: 85, tells: ['wear'] },
  { rate: 1000, atMostMb: 85, tells: ['memory', 'wear'] },
  { rate: 10_000, atMostMb: 130, tells: ['memory'] },
] as const;
const COLLECTED = 400_000;
const PEER_PLAN = { measure: 'append in groups of 1,000', group: 1000, messages: 200_000, atLeast: 1.5 };

/** What else is measured, by the words of `--only`. */
const OTHERS = [
  ...['hypercore', 'disk', 'verify', 'evidence', 'capture', 'idle', 'collector', 'drain', 'wire'],
  ...LOADS.map(loadName),
  'durability',
];

const USAGE = `npm run bench [-- --quick] [--strict] [--only WORD]
npm run bench:peers [-- --quick] [--strict]

  --quick      fewer and shorter runs, for a first look
  --peers      installs what ours is compared with, where it is not there yet, and measures only that
  --strict     exit 1 if a line misses what it must reach
  --only WORD  only what has it in its name: ${[...PLANS.map(({ measure }) => measure), ...OTHERS].join(', ')}
`;

const script = fileURLToPath(import.meta.url);
const peersFolder = join(dirname(script), '..', 'test', 'bench', 'peers');

async function main(words: readonly string[]): Promise<number> {
  if (words[0] === '--append-for-ever') return appendForEver(sideNamed(words[1]), words[2] ?? '');
  if (words[0] === '--publish-to') return publishTo(Number(words[1]), Number(words[2]));
  if (words[0] === '--publish-lines') return publishLines(words[1], Number(words[2]), words.slice(3));
  const only = words.includes('--only') ? (words[words.indexOf('--only') + 1] ?? '') : undefined;
  const unknown = words.find((word) => !['--quick', '--peers', '--strict', '--only', only].includes(word));
  const isWanted = (what: string): boolean => only === undefined || what.includes(only);
  if (unknown !== undefined || ![...PLANS.map(({ measure }) => measure), ...OTHERS].some(isWanted)) {
    process.stderr.write(`bench: expected the options below, got ${words.join(' ')}\n${USAGE}`);
    return 2;
  }
  const effort = words.includes('--quick') ? QUICK : FULL;
  process.stdout.write(`${describeMachine().join('\n')}\n\n`);
  if (words.includes('--peers') && findHypercore(peersFolder) === undefined) installPeers(peersFolder);
  const hypercore = findHypercore(peersFolder);
  const lines: Line[] = [];
  const notes: string[] = [];
  const add = async (what: string, work: () => Promise<Line | Line[]> | Line): Promise<void> => {
    if (!isWanted(what)) return;
    process.stderr.write(`measuring: ${what} …\n`);
    lines.push(...[await work()].flat());
  };

  const messages = makeMessages();
  const plans = words.includes('--peers') ? [] : PLANS;
  for (const plan of plans) {
    await add(plan.measure, () =>
      measureAppend({ ...plan, messages: plan.messages * effort.scale }, messages, effort.times, OURS, PLAIN),
    );
  }
  await add('hypercore', () =>
    hypercore === undefined
      ? NO_HYPERCORE
      : measureAppend({ ...PEER_PLAN, messages: PEER_PLAN.messages * effort.scale }, messages, effort.times, OURS, hypercore),
  );
  if (!words.includes('--peers')) {
    await inFolder(async (folder) => {
      // The others read the log that it makes, so it is wanted with each of them.
      await add('disk, for verify and evidence', () => {
        const { line, note } = measureDisk(folder, effort.entries);
        notes.push(note);
        return line;
      });
      await add('verify', () => measureVerify(folder, effort.entries, effort.times));
      await add('evidence', () => measureEvidence(folder, effort.entries));
    });
    await add('capture', () => measureCapture({ messages: CAPTURED * effort.scale, times: effort.times, script }));
    await add('idle', () => measureIdle({ ...effort, program: join(dirname(script), 'tallystick-agent.js') }));
    const kinds = [
      { kind: 'readings', heard: makeReadings() },
      { kind: `${PAYLOAD_BYTES} random bytes`, heard: messages },
    ];
    for (const { kind, heard } of kinds) {
      await add(`collector, ${kind}`, () => measureCollect(kind, heard, COLLECTED * effort.scale, effort.times));
      await add(`drain, ${kind}`, () => measureDrain(kind, heard, effort.entries));
    }
    await add('wire', () => measureWire(script));
    for (const plan of LOADS) await add(loadName(plan), () => measureLoad(plan, effort.loadSeconds, script));
  }
  const sides = [OURS, ...(words.includes('--peers') ? [] : [PLAIN]), ...(hypercore === undefined ? [] : [hypercore])];
  for (const side of isWanted('durability') ? sides : [])
    notes.push(await measureDurability(side, script, effort.groupsBeforeKill));

  process.stdout.write(`${formatTable(lines)}\n\n${[...legend(effort, sides), ...notes].join('\n')}\n`);
  const failed = lines.filter(({ verdict }) => verdict === 'FAIL').length;
  return failed > 0 && words.includes('--strict') ? 1 : 0;
}

function loadName({ rate }: { readonly rate: number }): string {
  return `load of ${rate} msg/s`;
}

const NO_HYPERCORE: Line = {
  measure: PEER_PLAN.measure,
  ours: '',
  baseline: 'hypercore: npm run bench:peers installs it',
  ratio: '',
  must: `≥ ${PEER_PLAN.atLeast.toFixed(2)} ×`,
  verdict: 'not measured',
};

function legend(effort: typeof FULL, sides: readonly Side[]): string[] {
  const quick =
    effort === FULL ? [] : [`QUICK: shorter runs, and a log of ${effort.entries} entries where 1,000,000 are asked for.`];
  return [
    `Medians of ${effort.times} alternations of both sides; in brackets the lowest and highest ratio. Payloads of 200 bytes.`,
    ...quick,
    ...sides.map(({ name, what }) => `${name}: ${what}`),
  ];
}

function sideNamed(name: string | undefined): Side {
  const hypercore = findHypercore(peersFolder);
  const found = [OURS, PLAIN, ...(hypercore === undefined ? [] : [hypercore])].find((side) => side.name === name);
  if (found === undefined) throw new Error(`benchmark: expected the name of a side, got ${name ?? 'none'}`);
  return found;
}

process.exitCode = await main(process.argv.slice(2));
