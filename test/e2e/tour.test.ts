import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { missing, works } from '../fault/program.ts';
import { ROOT } from '../support/sources.ts';
import { commandsOf } from '../systemd/machine.ts';
import { newMachines, OWN_NETWORK, type Machines } from './two-machines.ts';

// A reader who types what the README says, word for word, and gets what it promises. Both machines are this one.

const HEADING = 'Ten minutes: a Pi with its own mosquitto, a collector elsewhere';
const LACKING = [
  ...(OWN_NETWORK === undefined ? ['a network of its own (unshare, ip)'] : []),
  ...['mosquitto', 'mosquitto_pub', 'curl'].filter((tool) => !works('which', tool)),
];

/** The blocks in their order: the bold words before each, and whose it is. */
const BLOCKS: readonly (readonly [string, 'collector' | 'pi'])[] = [
  ["On the collector's machine", 'collector'],
  ['On the Pi', 'pi'],
  ['Back at the collector', 'collector'],
  ['On the Pi', 'pi'],
];

/** Until the collector holds all that the Pi recorded. */
const UNTIL_RECEIPTED =
  "until agent status | awk '/^entries/ { n = $2 } /^receipted/ { r = $2 } END { exit !r || n != r }'; do sleep 0.2; done";

/** What is typed in place of what the README says, and nothing else is. */
const CHANGES: readonly (readonly [string, string])[] = [
  ['collector.lan', '127.0.0.1'],
  ['ssh -n pi@pi.lan mkdir -m 700 tally', 'mkdir -m 700 ~/../pi/tally'],
  ['scp trust.txt password token pi@pi.lan:tally/', 'cp trust.txt password token ~/../pi/tally/'],
  ['sudo apt install -y mosquitto mosquitto-clients curl', ':'],
  // Conditions, where a reader waits for a time.
  ['sleep 5', `until grep -q '"mqtt: listening"' agent.log; do sleep 0.1; done`],
  ['sleep 10', UNTIL_RECEIPTED],
  ['sleep 6', UNTIL_RECEIPTED],
];

/** What the reader does before the next command. */
type Doing = (machines: Machines) => Promise<void>;

interface Promised {
  /** 0 where nothing else is said. */
  readonly code?: number;
  readonly out?: readonly RegExp[];
  readonly then?: Doing;
}

const ORIGIN = String.raw`example\.com/press-7/[0-9a-f]{16}`;

/** Where no time server can be reached, the clock is good to know. */
const WELL = /^(?:all is well|nothing needs somebody, 1 thing is good to know)$/m;

const publish = (value: string): string => `mosquitto_pub -q 1 -t press/temperature -m '{"value":${value}}'`;

/** A broker takes a message before the agent has it: a reader is slower. */
const recorded =
  (value: string): Doing =>
  async ({ pi }) => {
    await pi.type(`until agent tail | grep -q '"value":${value}}'; do sleep 0.1; done`);
  };

/** What comes of a command of the README, its comment included. All others end with 0. */
const PROMISES: Readonly<Record<string, Promised>> = {
  [publish('21.5')]: { then: recorded('21.5') },
  'agent tail': {
    out: [/^2 .* mqtt {2}press\/temperature .* \{"value":21\.5\}$/m, /^3 .* http {2}door\/state .* \{"open":true\}$/m],
  },
  'sleep 10; agent status': {
    out: [
      new RegExp(`^log +${ORIGIN}$`, 'm'),
      /^entries +4, /m,
      /^sealed +4 in \d seals?$/m,
      /^receipted +4, the last time at /m,
      WELL,
    ],
  },
  'collector devices': { out: [new RegExp(`^admitted +${ORIGIN}\n.*\n +entries +4, heard `, 'm')] },
  "collector entries --topic 'press/#'": { out: [/ press-7#2 {2}mqtt {2}press\/temperature .* \{"value":21\.5\}$/m] },
  'audit evidence entry.tally.json --trust trust.txt': {
    out: [/^ {2}PASS {2}receipt /m, /^ {2}PASS {2}entry .* topic "press\/temperature"/m, /^verdict: INTACT: /m],
  },
  'kill %1; wait %1 # no collector: on the Pi, publish more and look at `agent status`': {
    then: async (machines) => {
      const { pi } = machines;
      await pi.type(publish('21.75'));
      await recorded('21.75')(machines);
      await pi.type("until agent status | grep -q 'is not connected'; do sleep 0.1; done");
      const { code, out } = await pi.type('agent status');
      expect(out).toMatch(/^entries +5, /m);
      expect(out).toMatch(/^receipted +4, /m);
      expect(out).toMatch(/^WARN {2}the broker on the way to the collector is not connected: .*; nothing is lost meanwhile/m);
      expect(code).toBe(0);
    },
  },
  'agent doctor': { out: [/^PASS {2}permissions: /m, /^PASS {2}collector: answers$/m, /^PASS {2}receipt: /m] },
  'collector run 2>> collector.log & # within two minutes it has all of it: collector devices': {
    then: async ({ collector, pi }) => {
      await pi.type(UNTIL_RECEIPTED);
      expect((await collector.type("collector entries --topic 'press/#'")).out).toMatch(/ press-7#4 .* \{"value":21\.75\}$/m);
    },
  },
  [publish('22.5')]: { then: recorded('22.5') },
  'sleep 6; agent status': { out: [/^entries +6, /m, /^receipted +6, /m, WELL] },
  'audit replay log.tally --trust trust.txt # INTACT, exit 0': {
    code: 0,
    out: [/^ {2}PASS {2}entries +6 /m, /^ {2}PASS {2}receipts .* the newest of size 6 /m, /^verdict of all: INTACT: /m],
  },
  'audit replay forged.tally --trust trust.txt # TAMPERED: names the entry, exit 3': {
    code: 3,
    out: [/^ {2}FAIL {2}payload .* entry 2: /m, /^verdict of all: TAMPERED: /m],
  },
  'kill %1': {
    then: async ({ pi }) => {
      expect((await pi.type('wait $!')).code).toBe(0);
    },
  },
};

/** The section's blocks of commands, each with the bold words that it stands under; one that stands under none is missing. */
function titledBlocks(): (readonly [string, string])[] {
  const [, section = ''] = readFileSync(join(ROOT, 'README.md'), 'utf8').split(`\n## ${HEADING}\n`);
  const [text = ''] = section.split('\n## ');
  const titled = /\*\*([^*]+)\*\*(?:(?!^```)[^*])*^```\n(.*?)^```$/gms;
  return [...text.matchAll(titled)].map(([, title = '', block = '']) => [title, block]);
}

/** A command a line, or several where a line ends with a backslash; one space before a comment. */
function linesOf(block: string): string[] {
  return block
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/\s+# /, ' # '));
}

test("the README's ten minutes are tried where a network of its own can be had, and always in CI", () => {
  if (LACKING.length > 0) missing(LACKING.join(', '), "the README's ten minutes are not tried");
});

test("every block of the README's ten minutes is known, and whose it is", () => {
  expect(titledBlocks().map(([title]) => title)).toEqual(BLOCKS.map(([title]) => title));
  expect(titledBlocks().map(([, block]) => block)).toEqual(commandsOf(HEADING));
});

test.runIf(LACKING.length === 0)(
  'who types what the README says gets what it promises: entries, receipts, evidence, an outage, a forger caught',
  async () => {
    const machines = newMachines();
    const unchanged = new Set(CHANGES);
    const unkept = new Set(Object.keys(PROMISES));
    const change = (line: string): string =>
      CHANGES.reduce((text, wanted) => {
        if (text.includes(wanted[0])) unchanged.delete(wanted);
        return text.replaceAll(...wanted);
      }, line);

    for (const [at, [, block]] of titledBlocks().entries()) {
      const [, name] = BLOCKS[at] ?? [];
      if (name === undefined) throw new Error(`expected a block that is known, got ${block}`);
      for (const line of linesOf(block)) {
        const { code = 0, out = [], then } = PROMISES[line] ?? {};
        const typed = await machines[name].type(change(line));
        expect(typed.code, `${line}\n${typed.out}`).toBe(code);
        for (const pattern of out) expect(typed.out, line).toMatch(pattern);
        await then?.(machines);
        unkept.delete(line);
      }
    }
    expect([...unchanged, ...unkept]).toEqual([]);
    await machines.end();
  },
  300_000,
);
