import { stringify } from 'smol-toml';
import * as v from 'valibot';
import { EXIT, Failure } from './failure.ts';

/** What a setting holds: nothing that needs more than one line of a file, or more than a word of the environment. */
export type Value = string | number | boolean | readonly string[];

const CREDENTIAL = /^\$CREDENTIALS_DIRECTORY\/(?<name>[^/\0]+)$/;
const FILE_OR_NONE = 'an absolute path, $CREDENTIALS_DIRECTORY/<name>, or ""';

type Check<T extends Value> = v.GenericSchema<T>;

/** Sections of settings, as `[section]` and `key = value` in the file: the one table that is checked, documented and rendered. */
export type Sections = Readonly<Record<string, v.StrictObjectSchema<v.ObjectEntries, undefined>>>;
export type Settings = v.StrictObjectSchema<Sections, undefined>;

/** A setting that every machine must give. `doc` says what it does and in which unit. */
export function required<T extends Value>(check: Check<T>, doc: string): v.GenericSchema<T> {
  return v.pipe(check, v.description(doc), v.metadata(v.getMetadata(check)));
}

/** A setting with the default of all machines, written here and nowhere else. */
export function setting<T extends Value>(check: Check<T>, value: T, doc: string): v.OptionalSchema<v.GenericSchema<T>, T> {
  return v.pipe(v.optional(check, value), v.description(doc), v.metadata(v.getMetadata(check)));
}

/** Integers as they are written in TOML, both ends included. */
export function integer(min: number, max: number): Check<number> {
  const words = `an integer from ${min} to ${max}`;
  return v.pipe(v.number(), v.safeInteger(), v.minValue(min), v.maxValue(max), v.metadata({ expected: words }));
}

export function oneOf<const T extends readonly string[]>(...names: T): Check<T[number]> {
  return v.pipe(v.picklist(names), v.metadata({ expected: names.map((name) => JSON.stringify(name)).join(' or ') }));
}

/** Text that passes `test`, which `words` describe. */
export function text(test: (word: string) => boolean, words: string): Check<string> {
  return v.pipe(v.string(), v.check(test), v.metadata({ expected: words }));
}

/** Texts, at least one, that each pass `test`; `words` describe the list. In the environment and in flags it is written as JSON: `["a", "b"]`. */
export function list(test: (word: string) => boolean, words: string): Check<readonly string[]> {
  const isList = (value: unknown): boolean =>
    Array.isArray(value) && value.length > 0 && value.every((word) => typeof word === 'string' && test(word));
  return v.pipe(v.custom<readonly string[]>(isList), v.metadata({ expected: words }));
}

/** A file or folder. Relative paths would depend on where the service was started. */
export function path(): Check<string> {
  // A NUL would end the path early in the kernel.
  return text((word) => word.startsWith('/') && !word.includes('\0'), 'an absolute path');
}

/** A {@link path}, or nothing. */
export function optionalPath(): Check<string> {
  return text((word) => word === '' || (word.startsWith('/') && !word.includes('\0')), 'an absolute path, or ""');
}

/**
 * A file that is read at the start, or nothing. `$CREDENTIALS_DIRECTORY/<name>` is what systemd hands to the service alone
 * (`LoadCredential=` in its unit): see {@link fileOf}.
 */
export function optionalFile(): Check<string> {
  const isFile = (word: string): boolean => CREDENTIAL.test(word) || v.is(optionalPath(), word);
  return v.pipe(text(isFile, FILE_OR_NONE), v.metadata({ expected: FILE_OR_NONE, mayBeCredential: true }));
}

/**
 * The value with the folder of the credentials in it. Without a folder it stays as it is: outside of the service nobody gets them,
 * and most commands read none.
 */
export function fileOf<T>(check: v.GenericSchema, value: T, folder: string | undefined): T | string {
  if (folder === undefined || typeof value !== 'string' || v.getMetadata(check)['mayBeCredential'] !== true) return value;
  const name = CREDENTIAL.exec(value)?.groups?.['name'];
  return name === undefined ? value : `${folder}/${name}`;
}

/** What a check accepts, in words; a section accepts a table. */
export function expected(check: v.GenericSchema): string {
  const words = v.getMetadata(check)['expected'];
  return typeof words === 'string' ? words : 'a table';
}

/**
 * The environment and the command line know words only. Where text is not accepted, a word is what else it can be read as: a number,
 * a boolean, or a list of texts in JSON; else it stays the word, which the check then refuses as it stands.
 */
export function fromWord(check: v.GenericSchema, word: string): Value {
  if (v.is(check, word)) return word;
  if (/^-?(?:0|[1-9][0-9]{0,15})$/.test(word)) return Number(word);
  if (word === 'true' || word === 'false') return word === 'true';
  try {
    const value: unknown = JSON.parse(word);
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : word;
  } catch {
    return word;
  }
}

/**
 * The file that `config init` writes: every setting with its doc, in the order of the table; those of `values` set, the others as
 * statements commented out (`#` without a space) that show the default.
 *
 *     [seal]
 *     # Seal after so many entries.
 *     #entries = 1024
 */
export function renderSettings(settings: Settings, values: Readonly<Record<string, Value>>, preamble: string): string {
  const lines = comment(preamble);
  for (const [section, table] of Object.entries(settings.entries)) {
    lines.push('', `[${section}]`);
    for (const [key, check] of Object.entries(table.entries)) {
      const word = values[`${section}.${key}`];
      const given = typeof word === 'string' ? fromWord(check, word) : word;
      if (given !== undefined && !v.is(check, given)) {
        throw new Failure(EXIT.usage, `${section}.${key}: expected ${expected(check)}, got ${JSON.stringify(given)}`);
      }
      const statement = stringify({ [key]: given ?? v.getDefault(check) ?? '' }).trimEnd();
      lines.push(...comment(v.getDescription(check) ?? ''), given === undefined ? `#${statement}` : statement);
    }
  }
  return `${lines.join('\n')}\n`;
}

function comment(lines: string): string[] {
  return lines.split('\n').map((line) => `# ${line}`.trimEnd());
}
