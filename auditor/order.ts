import { equal } from '../tlog/bytes.ts';
import { entryLeafHash, MAX_ENTRY_BYTES } from '../tlog/entry.ts';
import type { Tree } from '../tlog/merkle.ts';
import type { Suite } from '../tlog/suite.ts';

/** What is spent on one seal's entries that do not fit: searches through all of them, and orders that are tried. */
const MAX_SEARCHES = 64;
const MAX_TRIALS = 16;

/** An entry as an export states it. */
export interface Stated {
  readonly index: number;
  readonly entry: Uint8Array;
  readonly leaf: Uint8Array;
}

/** A stated entry, and the one that it follows. */
interface Link {
  readonly stated: Stated;
  /** Where the first of several copies stands in a row: it is the one that others follow, and the rest are too many. */
  readonly original: number;
  /** Among the links; −1 is what was there before them. */
  parent: number;
  /** The leaf hash as stated, or where that was changed the one that the entry has. */
  leaf: Uint8Array;
  /** What of it does not fit. */
  changed: 'entry' | 'leaf' | undefined;
}

/** An entry where it was when it was sealed. */
export interface Placed extends Pick<Link, 'stated' | 'leaf' | 'changed'> {
  /** Where it stands among those stated. */
  readonly at: number;
}

/** What an entry's leaf hash must be after `prev`; undefined for what is too long to be one. */
export function linkHash(suite: Suite, prev: Uint8Array, { entry }: Stated): Uint8Array | undefined {
  return entry.length > MAX_ENTRY_BYTES ? undefined : entryLeafHash(suite, prev, entry);
}

export function isLinked(suite: Suite, prev: Uint8Array, stated: Stated): boolean {
  const hash = linkHash(suite, prev, stated);
  return hash !== undefined && equal(hash, stated.leaf);
}

/**
 * Finds the order in which the entries were sealed, whatever order, numbers and strangers the export has: each leaf hash names what it
 * follows, and the root that was signed proves the outcome. `tree` and `head` are what was there before them. Undefined where no order
 * leads to the root: an entry is missing, or leaf hashes were made anew.
 */
export function findOrder(
  suite: Suite,
  { tree, head, stated }: { tree: Tree; head: Uint8Array; stated: readonly Stated[] },
  { size, root }: { size: number; root: Uint8Array },
): Placed[] | undefined {
  const links = linkAll(suite, head, stated);
  const wanted = size - tree.size;
  let trials = 0;
  for (let last = links.length - 1; last >= 0 && trials < MAX_TRIALS; last--) {
    const path = links[last]?.original === last ? pathTo(links, last, wanted) : undefined;
    if (path === undefined) continue;
    trials += 1;
    if (leadsTo(tree, path, root)) return path;
    // The last one has no follower that could tell which of the two was changed.
    const other = withOwnLeaf(suite, path, head);
    if (other !== undefined && leadsTo(tree, other, root)) return other;
  }
  return undefined;
}

function linkAll(suite: Suite, head: Uint8Array, stated: readonly Stated[]): Link[] {
  const links: Link[] = [];
  for (const [i, one] of stated.entries()) {
    const before = links[i - 1];
    const original = before !== undefined && equal(before.leaf, one.leaf) ? before.original : i;
    links.push({ stated: one, original, parent: -1, leaf: one.leaf, changed: undefined });
  }
  let searches = 0;
  /** Of those before, the first with each number. */
  const numbered = new Map<number, number>();
  for (const [i, link] of links.entries()) {
    const leafOf = (at: number): Uint8Array => links[at]?.leaf ?? head;
    const follows = (at: number): boolean => at !== i && isLinked(suite, leafOf(at), link.stated);
    const before = links[i - 1];
    if (before !== undefined && !numbered.has(before.stated.index)) numbered.set(before.stated.index, i - 1);
    link.parent = before?.original ?? -1;
    if (follows(i - 1)) continue;
    if (searches < MAX_SEARCHES) {
      searches += 1;
      const found = [-1, ...links.keys()].find(follows);
      if (found !== undefined) {
        link.parent = found;
        continue;
      }
    }
    // If this follows the entry before as it is, only the leaf hash stated for that one was changed.
    const own = before?.changed === 'entry' ? linkHash(suite, leafOf(before.parent), before.stated) : undefined;
    if (before !== undefined && own !== undefined && isLinked(suite, own, link.stated)) {
      before.leaf = own;
      before.changed = 'leaf';
      continue;
    }
    link.parent = numbered.get(link.stated.index - 1) ?? i - 1;
    link.changed = 'entry';
  }
  return links;
}

/** The `length` links that lead to this one from what was there before; undefined where there are more or fewer. */
function pathTo(links: readonly Link[], last: number, length: number): Placed[] | undefined {
  if (length > links.length) return undefined;
  // Counted first: most places lead nowhere, and each may be as far from the beginning.
  let count = 0;
  for (let at = last; at >= 0 && count <= length; at = links[at]?.parent ?? -1) count += 1;
  if (count !== length) return undefined;
  const path: Placed[] = [];
  for (let at = last, link = links[at]; link !== undefined; at = link.parent, link = links[at]) {
    path.push({ stated: link.stated, leaf: link.leaf, changed: link.changed, at });
  }
  return path.reverse();
}

function withOwnLeaf(suite: Suite, path: readonly Placed[], head: Uint8Array): Placed[] | undefined {
  const last = path.at(-1);
  if (last?.changed !== 'entry') return undefined;
  const leaf = linkHash(suite, path.at(-2)?.leaf ?? head, last.stated);
  return leaf === undefined ? undefined : [...path.slice(0, -1), { ...last, leaf, changed: 'leaf' }];
}

function leadsTo(tree: Tree, path: readonly Placed[], root: Uint8Array): boolean {
  const grown = tree.clone();
  for (const { leaf } of path) grown.append(leaf);
  return equal(grown.root(), root);
}
