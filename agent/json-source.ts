/** A member of a JSON object. */
export interface Member {
  readonly name: string;
  /** The text of its value, without the white space around it. */
  readonly source: string;
}

/**
 * Where the values of an object's members stand, in order. JSON.parse has said that the text is an object, so all there is to do is
 * to skip strings and to count brackets: JSON.parse itself does not tell.
 */
export function sourceOfMembers(text: string): Member[] {
  const members: Member[] = [];
  let at = text.indexOf('{') + 1;
  while (at < text.length) {
    at = skip(text, at, ' \t\r\n,');
    if (text[at] !== '"') return members;
    const nameEnd = endOfString(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    const start = skip(text, nameEnd, ' \t\r\n:');
    at = endOfValue(text, start);
    members.push({ name, source: text.slice(start, at).trimEnd() });
  }
  return members;
}

/**
 * The elements of a JSON array, one by one, as they stand in `bytes` (UTF-8), so that no more than one is ever parsed. Throws an Error
 * on what is no array; that each element is JSON is for who parses it.
 */
export function* elementsOf(bytes: Uint8Array): Generator<Uint8Array> {
  let at = skipSpace(bytes, 0);
  if (bytes[at] !== ASCII['[']) throw new Error('expected a JSON array of events, got another value');
  at = skipSpace(bytes, at + 1);
  if (bytes[at] !== ASCII[']']) {
    for (;;) {
      const end = endOfElement(bytes, at);
      yield bytes.subarray(at, end);
      at = end;
      if (bytes[at] !== ASCII[',']) break;
      at++;
    }
  }
  if (bytes[at] !== ASCII[']'] || skipSpace(bytes, at + 1) !== bytes.length)
    throw new Error('expected a JSON array of events and its end, got something else');
}

const ASCII = { '"': 0x22, ',': 0x2c, '[': 0x5b, '\\': 0x5c, ']': 0x5d, '{': 0x7b, '}': 0x7d } as const;
const SPACE = [0x20, 0x09, 0x0a, 0x0d];

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  while (SPACE.includes(bytes[at] ?? 0)) at++;
  return at;
}

/** Where its comma or the end of its array is; the end of `bytes` where there is none. */
function endOfElement(bytes: Uint8Array, from: number): number {
  let depth = 0;
  let isString = false;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at];
    if (isString) {
      if (byte === ASCII['\\']) at++;
      else if (byte === ASCII['"']) isString = false;
    } else if (byte === ASCII['"']) isString = true;
    else if (byte === ASCII['['] || byte === ASCII['{']) depth++;
    else if (depth === 0 && (byte === ASCII[','] || byte === ASCII[']'])) return at;
    else if (byte === ASCII[']'] || byte === ASCII['}']) depth--;
  }
  return bytes.length;
}

/** JSON.parse keeps the last of two members with one name and says nothing of the others, which would be lost. */
export function checkOnce(members: readonly Member[]): void {
  const seen = new Set<string>();
  for (const { name } of members) {
    if (seen.has(name)) throw new Error(`expected ${JSON.stringify(name.slice(0, 60))} once, got it more than once`);
    seen.add(name);
  }
}

function skip(text: string, from: number, characters: string): number {
  let at = from;
  while (at < text.length && characters.includes(text.charAt(at))) at++;
  return at;
}

function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function endOfValue(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length;) {
    const character = text.charAt(at);
    if (character === '"') {
      at = endOfString(text, at);
      continue;
    }
    if (depth === 0 && (character === ',' || character === '}' || character === ']')) return at;
    if (character === '{' || character === '[') depth++;
    if (character === '}' || character === ']') depth--;
    at++;
  }
  return text.length;
}
