import { plural } from '../program/plural.ts';
import { equal } from '../tlog/bytes.ts';
import type { Suite } from '../tlog/suite.ts';
import { isLinked, linkHash } from './order.ts';
import type { Placed, Stated } from './order.ts';
import { formatRange, Ranges } from './ranges.ts';

/** Of one seal's changed entries those that are compared with each other: more are no swap. */
const MAX_COMPARED = 64;

/** Something that does not hold, for people: `tampered` contradicts, `incomplete` is missing. */
export interface Difference {
  readonly verdict: 'tampered' | 'incomplete';
  readonly detail: string;
}

/**
 * How what an export states differs from what was sealed, once that is known: entries changed, moved, inserted, numbered otherwise, and
 * leaf hashes changed. `start` is the index of the first, `head` the leaf hash before it.
 */
export function describeOrder(
  suite: Suite,
  { start, head, stated }: { start: number; head: Uint8Array; stated: readonly Stated[] },
  placed: readonly Placed[],
): Difference[] {
  const details = [
    ...describeChanges(suite, start, head, placed),
    ...describeMoves(start, placed),
    ...describeStrangers(stated, placed),
    ...describeNumbers(start, placed),
  ];
  return details.map((detail) => ({ verdict: 'tampered', detail }));
}

function describeChanges(suite: Suite, start: number, head: Uint8Array, placed: readonly Placed[]): string[] {
  const details: string[] = [];
  const swapped = new Set<number>();
  const candidates = [...placed.keys()].filter((i) => placed[i]?.changed === 'entry').slice(0, MAX_COMPARED);
  for (const [i, { stated, changed }] of placed.entries()) {
    if (changed === 'leaf') {
      details.push(
        `entry ${start + i}: expected the leaf hash that was sealed, got another; the entry itself is the one that was sealed`,
      );
    }
    if (changed !== 'entry' || swapped.has(i)) continue;
    const other = candidates.includes(i)
      ? candidates.find((at) => at > i && isAt(suite, placed, head, i, placed[at]?.stated))
      : undefined;
    if (other !== undefined && isAt(suite, placed, head, other, stated)) {
      swapped.add(other);
      details.push(`entries ${start + i} and ${start + other} were swapped: each stands in the other's place`);
    } else {
      details.push(`entry ${start + i} was changed: it is not the one that was sealed, whose leaf hash is proven`);
    }
  }
  return details;
}

/** Whether the entry that was sealed at this place is that one. */
function isAt(suite: Suite, placed: readonly Placed[], head: Uint8Array, place: number, stated: Stated | undefined): boolean {
  const hash = stated && linkHash(suite, placed[place - 1]?.leaf ?? head, stated);
  return hash !== undefined && placed[place] !== undefined && equal(hash, placed[place].leaf);
}

/** Where the order in the export is another, told as the smallest runs of places that hold each other's entries. */
function describeMoves(start: number, placed: readonly Placed[]): string[] {
  const details: string[] = [];
  const sorted = placed.map(({ at }) => at).toSorted((a, b) => a - b);
  for (let first = 0; first < placed.length; first++) {
    if (placed[first]?.at === sorted[first]) continue;
    let last = first;
    for (let most = placed[first]?.at ?? 0; most > (sorted[last] ?? 0);) {
      last += 1;
      most = Math.max(most, placed[last]?.at ?? 0);
    }
    const what = last === first + 1 ? 'were swapped' : 'stand in another order than they were sealed in';
    details.push(`entries ${formatRange(start + first, start + last)} ${what}`);
    first = last;
  }
  return details;
}

function describeStrangers(stated: readonly Stated[], placed: readonly Placed[]): string[] {
  const known = new Set(placed.map(({ at }) => at));
  const strangers = stated.filter((_one, at) => !known.has(at));
  return strangers.map(({ index }) => `a record was inserted as entry ${index}: it is none of those that were sealed`);
}

/** Entries whose number fits neither their place nor, as after a swap or an insertion, where they stand in the export. */
function describeNumbers(start: number, placed: readonly Placed[]): string[] {
  const details: string[] = [];
  const shiftAt = (i: number): number => {
    const one = placed[i];
    if (one === undefined || one.stated.index === start + one.at) return 0;
    return one.stated.index - (start + i);
  };
  for (let i = 0; i < placed.length; i++) {
    const shift = shiftAt(i);
    if (shift === 0) continue;
    const first = i;
    while (shiftAt(i + 1) === shift) i += 1;
    const given = formatRange(start + first + shift, start + i + shift);
    details.push(`the entries sealed as ${formatRange(start + first, start + i)} are numbered ${given}`);
  }
  return details;
}

/**
 * What can be told of entries `[start, size)` whose order no root proves: numbers that are missing, and else that they do not fit
 * together. `head` is the leaf hash before the first, if it is known; `covered` names what should cover them.
 */
export function describeStructure(
  suite: Suite,
  { start, head, stated }: { start: number; head: Uint8Array | undefined; stated: readonly Stated[] },
  size: number,
  covered: string,
): Difference[] {
  const missing = new Ranges();
  const breaks = new Ranges();
  let expected = start;
  let prev = head;
  let isOrdered = true;
  for (const one of stated) {
    if (one.index < expected || one.index >= size) isOrdered = false;
    if (one.index > expected && one.index < size) missing.addRange(expected, one.index - 1);
    if (one.index === expected && prev !== undefined && !isLinked(suite, prev, one)) breaks.add(one.index);
    expected = one.index + 1;
    prev = one.leaf;
  }
  if (expected < size) missing.addRange(expected, size - 1);
  const range = formatRange(start, size - 1);
  const entriesOf = (ranges: Ranges): string => `${plural(ranges.count, 'entry', 'entries')} ${ranges.toString()}`;
  if (breaks.count > 0) {
    const where = `${entriesOf(breaks)} ${plural(breaks.count, 'does', 'do')} not follow from the entry before`;
    return [
      { verdict: 'tampered', detail: `${where}: there something was changed, removed or inserted, under ${covered} (${range})` },
    ];
  }
  if (!isOrdered) {
    const detail = `entries ${range}: expected each once and in order, got ${stated.length} records that are not, under ${covered}`;
    return [{ verdict: 'tampered', detail }];
  }
  if (missing.count === 0) return [];
  return [
    {
      verdict: 'incomplete',
      detail: `${entriesOf(missing)} ${plural(missing.count, 'is', 'are')} missing, which ${covered} covers`,
    },
  ];
}
