import type { Command } from 'commander';
import { printResult, type Terminal } from './command.ts';
import type { Effective, Sources } from './config-file.ts';
import { EXIT, Failure } from './failure.ts';

type Environment = Sources['env'];

/** The options `--config` and `--set`, which every command of a program with a configuration has. */
export function withConfig(program: Command, defaultPath: string): Command {
  return program
    .option('--config <file>', 'configuration', defaultPath)
    .option(
      '--set <key=value>',
      'a setting, stronger than the file; may be repeated',
      (word: string, all: string[]) => [...all, word],
      [],
    );
}

/** Where {@link withConfig} says that the configuration comes from. */
export function sourcesOf(command: Command, env: Environment): Sources {
  const options: { config: string; set: string[] } = command.optsWithGlobals();
  const flags = options.set.map((word): [string, string] => {
    const at = word.indexOf('=');
    if (at < 1) throw new Failure(EXIT.usage, `--set: expected <key>=<value>, got ${JSON.stringify(word)}`);
    return [word.slice(0, at), word.slice(at + 1)];
  });
  return { path: options.config, env, flags: Object.fromEntries(flags) };
}

/** What `config check` says of a configuration that was loaded well. */
export function printChecked(terminal: Terminal, command: Command, path: string): void {
  if (command.opts()['quiet'] === true) return;
  printResult(terminal, command, { json: { ok: true, path }, text: `${path}: can be used` });
}

/** What `config show` says: each setting, and with `--effective` where that was said. */
export function printSettings(terminal: Terminal, command: Command, settings: readonly Effective[]): void {
  const withOrigin = command.opts()['effective'] === true;
  const lines = settings.map(
    ({ key, value, origin }) => `${key} = ${JSON.stringify(value)}${withOrigin ? `    # ${origin}` : ''}`,
  );
  printResult(terminal, command, { json: settings, text: lines.join('\n') });
}
