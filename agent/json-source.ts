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

/** The texts of an array's elements; JSON.parse has said that the text is an array. */
export function sourceOfElements(text: string): string[] {
  const elements: string[] = [];
  for (let at = text.indexOf('[') + 1; ;) {
    at = skip(text, at, ' \t\r\n,');
    if (text[at] === ']') return elements;
    const end = endOfValue(text, at);
    elements.push(text.slice(at, end).trimEnd());
    at = end;
  }
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
