import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { elementsOf, sourceOfMembers } from '../../agent/json-source.ts';
import { decodeUtf8, encodeUtf8 } from '../../tlog/bytes.ts';

const SEED = 20_261_123;

function sourceOfElements(text: string): string[] {
  return Array.from(elementsOf(encodeUtf8(text)), (element) => decodeUtf8(element).trim());
}

/** JSON texts with white space where it may stand. */
function texts(): fc.Arbitrary<string> {
  const indent = fc.constantFrom('', ' ', '\t', '\r\n');
  return fc
    .tuple(fc.jsonValue({ maxDepth: 3 }), indent)
    .map(([value, space]) => `${space}${JSON.stringify(value, null, space)}${space}`);
}

test(`the texts of elements are those of the values that JSON.parse finds (seed ${SEED})`, () => {
  const property = fc.property(fc.array(texts()), fc.constantFrom(',', ' ,', ', '), (elements, comma) => {
    const text = ` [${elements.join(comma)}] `;
    const found = sourceOfElements(text);
    expect(found).toEqual(elements.map((element) => element.trim()));
    expect(found.map((source): unknown => JSON.parse(source))).toEqual(JSON.parse(text));
  });
  fc.assert(property, { seed: SEED, numRuns: 500 });
});

test(`the texts of members are those of the values that JSON.parse finds (seed ${SEED})`, () => {
  const member = fc.tuple(
    fc.string({ unit: 'binary' }).filter((name) => name.isWellFormed()),
    texts(),
  );
  const property = fc.property(fc.uniqueArray(member, { selector: ([name]) => name }), (members) => {
    const text = `{ ${members.map(([name, value]) => `${JSON.stringify(name)} :${value}`).join(' , ')} }`;
    const found = sourceOfMembers(text);
    expect(found).toEqual(members.map(([name, value]) => ({ name, source: value.trim() })));
  });
  fc.assert(property, { seed: SEED, numRuns: 500 });
});

describe('elements of', () => {
  test.each([
    ['nothing', '[]', []],
    ['nothing but space', ' [ \n ] ', []],
    ['brackets within strings', '["]","[\\"]",[["]"]]]', ['"]"', '"[\\"]"', '[["]"]]']],
    ['numbers as they are written', '[1.0, -0, 1e5]', ['1.0', '-0', '1e5']],
  ])('%s', (_, text, elements) => {
    expect(sourceOfElements(text)).toEqual(elements);
  });
});

describe('no array is', () => {
  test.each(['', ' ', '{}', '1', '"["', '[', '[1', '[1}', '[1]]', '[1] 2', '["]', '["\\"]', '[{]', '[1,', 'x[1]'])(
    '%s',
    (text) => {
      expect(() => sourceOfElements(text)).toThrow('expected a JSON array');
    },
  );

  test.each([',', '1,', ',1', '1,,2'])('without an element at a comma: [%s]', (inner) => {
    expect(sourceOfElements(`[${inner}]`)).toContain('');
  });
});
