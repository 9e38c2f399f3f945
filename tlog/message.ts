import { concat, encodeUtf8 } from './bytes.ts';
import { byteStringHead, encode, encodeArrayStart, Reader } from './cbor.ts';
import { compareKeys, MAX_ATTRIBUTE_KEY_BYTES, MAX_PRODUCER_ATTRIBUTES_BYTES, MAX_TOPIC_BYTES, type Attribute } from './entry.ts';

/** What a producer says of a message, as it came: in any order, of any length. */
export interface ProducerHeader {
  readonly topic: string;
  readonly attributes: readonly Attribute[];
}

/** Keys of the agent's own begin with it. */
const OWN = '$';
/** Of a pair and its two texts, at most; of the array, too. */
const MAX_HEADS_BYTES = 1 + 2 * 9;
const FOLDED: Attribute = ['$header', 'payload'];

/**
 * A producer's header as an entry's. One that an entry has no room for is never refused: the entry gets the topic "" and
 * `$header = payload`, and {@link FoldedHeader.before} is put before the payload, FORMAT.md §3.2. That is where a topic is over
 * its limit, attributes are over theirs, repeat a key, have one that is empty or too long, or one that begins with `$`.
 */
export interface FoldedHeader extends ProducerHeader {
  /** What the payload begins with: `83 topic attributes <head of the payload's byte string>`; undefined where nothing was folded. */
  readonly before: Uint8Array | undefined;
}

/** `payloadBytes`: the length of the payload that will follow. */
export function foldHeader({ topic, attributes }: ProducerHeader, payloadBytes: number): FoldedHeader {
  if (attributes.length === 0 && isTopic(topic)) return { topic, attributes, before: undefined };
  const sorted = attributes.length === 1 ? attributes : attributes.toSorted(([a], [b]) => compareKeys(a, b));
  if (isTopic(topic) && areAttributes(sorted)) return { topic, attributes: sorted, before: undefined };
  const before = concat(encodeArrayStart(3, [topic, attributes]), byteStringHead(payloadBytes));
  return { topic: '', attributes: [FOLDED], before };
}

/**
 * The producer's header and payload of a payload that begins with {@link FoldedHeader.before}. Throws `malformed`. Not used by the
 * programs here, which show a payload as it is: for whoever reads messages out of a log.
 */
export function unfoldPayload(payload: Uint8Array): ProducerHeader & { readonly payload: Uint8Array } {
  const reader = new Reader(payload);
  reader.tuple(3, 'folded payload');
  const topic = reader.text('topic');
  const attributes: Attribute[] = [];
  for (let left = reader.array('attributes'); left > 0; left--) {
    reader.tuple(2, 'attribute');
    attributes.push([reader.text('attribute key'), reader.text('attribute value')]);
  }
  const inner = reader.byteString('payload');
  reader.end('folded payload');
  return { topic, attributes, payload: inner };
}

/** Attributes of the agent's own, added in order. A key that is there already stays as it is. */
export function addAttributes(attributes: readonly Attribute[], own: readonly Attribute[]): Attribute[] {
  const missing = own.filter(([key]) => !attributes.some(([other]) => other === key));
  return [...attributes, ...missing].sort(([a], [b]) => compareKeys(a, b));
}

function isTopic(topic: string): boolean {
  return isWithin(topic, MAX_TOPIC_BYTES);
}

function areAttributes(sorted: readonly Attribute[]): boolean {
  if (!sorted.every(([key], i) => isKey(key) && key !== sorted[i + 1]?.[0])) return false;
  const most = sorted.reduce((bytes, [key, value]) => bytes + MAX_HEADS_BYTES + 3 * (key.length + value.length), MAX_HEADS_BYTES);
  return most <= MAX_PRODUCER_ATTRIBUTES_BYTES || encode(sorted).length <= MAX_PRODUCER_ATTRIBUTES_BYTES;
}

function isKey(key: string): boolean {
  return key !== '' && !key.startsWith(OWN) && isWithin(key, MAX_ATTRIBUTE_KEY_BYTES);
}

/** What every message passes is not encoded to be measured: a third of the limit in UTF-16 units can't be over it in bytes. */
function isWithin(text: string, maxBytes: number): boolean {
  return text.length <= maxBytes / 3 || encodeUtf8(text).length <= maxBytes;
}
