import { InvalidArgumentError, type Command } from 'commander';
import { createProgram, parseChecked, parseCount, withDefault } from '../program/command.ts';
import { addConfigCommands, withConfig } from '../program/config-command.ts';
import { checkDevice } from '../tlog/origin.ts';
import {
  devicesApprove,
  devicesList,
  devicesPassword,
  devicesRetire,
  tokenCreate,
  tokenList,
  tokenRevoke,
} from './command-devices.ts';
import { entries } from './command-entries.ts';
import { fleetLogRenew, fleetLogShow } from './command-fleet.ts';
import { configCheck, configInit, configShow, initCollector } from './command-init.ts';
import { evidence, exportAll, prove, verify } from './command-read.ts';
import { runService } from './command-run.ts';
import { DEFAULT_CONFIG_PATH } from './config.ts';
import type { Context } from './context.ts';

function parseUses(word: string): number {
  const count = parseCount(word);
  if (count >= 1 && count <= 1_000_000) return count;
  throw new InvalidArgumentError('expected a number from 1 to 1000000');
}

function withFleet(command: Command): Command {
  return command.requiredOption('--fleet <name>', 'the fleet, first part of the names of its logs and keys');
}

/** The command line of tallystick-collector. */
export function collectorProgram(context: Context): Command {
  /** An action with what it needs from the process behind the arguments that commander gives. */
  const withContext =
    <Args extends unknown[]>(action: (...args: [...Args, Context]) => void | Promise<void>) =>
    (...args: Args): void | Promise<void> =>
      action(...args, context);

  const program = withConfig(
    createProgram(
      'tallystick-collector',
      'Holds the other half of a fleet’s logs: verifies, stores and gives receipts.',
      context.terminal,
    ),
    DEFAULT_CONFIG_PATH,
  );

  withFleet(program.command('init'))
    .description('make keys, store and configuration; print the lines of a trust file')
    .option('--user <name>', 'who gets the files; by default the user "tallystick-collector" if root runs this')
    .action(withContext(initCollector));

  const devices = withDefault(program.command('devices')).description('who is admitted, who waits');
  devices.command('list', { isDefault: true }).description('all, with fingerprints and states').action(withContext(devicesList));
  devices
    .command('approve')
    .description('admit a device after comparing the fingerprint that both sides show')
    .argument('<device...>', 'fingerprint, at least its first 16 digits, or origin')
    .action(withContext(devicesApprove));
  devices
    .command('retire')
    .description('take nothing more of it; what is held stays')
    .argument('<device...>', 'fingerprint or origin')
    .option('--reason <text>', 'told to the device', 'retired by an operator')
    .action(withContext(devicesRetire));

  devices
    .command('password')
    .description(
      'make a password for the embedded broker and print it, once; the device comes with its name as user, with an older one no more',
    )
    .argument('<name>', 'name of the device', parseChecked(checkDevice))
    .option('--remove', 'it may not connect any more; connections end within a minute')
    .action(withContext(devicesPassword));

  const token = withDefault(program.command('token')).description('tokens that admit devices without an operator');
  token
    .command('create')
    .description('make one and print it, once')
    .option('--device <name>', 'for this device, once', parseChecked(checkDevice))
    .option('--count <n>', 'for so many devices of any name (default: 1)', parseUses)
    .action(withContext(tokenCreate));
  token.command('list', { isDefault: true }).description('all, and what is left of them').action(withContext(tokenList));
  token
    .command('revoke')
    .description('admit nobody by it any more')
    .argument('<number>', 'as the list shows it', parseCount)
    .action(withContext(tokenRevoke));

  const fleetLog = withDefault(program.command('fleet-log')).description('the log of all admissions and receipts');
  fleetLog
    .command('show', { isDefault: true })
    .description('where it stands, and why where it has stopped')
    .action(withContext(fleetLogShow));
  fleetLog
    .command('renew')
    .description('where it has stopped: a fresh key takes over; print the line for trust files')
    .action(withContext(fleetLogRenew));

  program
    .command('run')
    .description('the service: take what devices send, give receipts, until told to stop')
    .action(withContext(runService));
  program
    .command('entries')
    .description('the entries of the fleet in their merged order')
    .addHelpText(
      'after',
      '\nA "?" after a time: the gateway’s clock was not known to be synchronised. A "~" before it: the entry is not settled, one from ' +
        'another device may still come before it.',
    )
    .option('--device <name>', 'of this device')
    .option('--topic <filter>', 'whose topic an MQTT filter takes (+, #)')
    .option('--source <name>', 'that this source heard; $agent: events of the agents')
    .option('--from <time>', 'from this merged time on (RFC 3339)')
    .option('--to <time>', 'before this merged time')
    .option('--settled', 'only those that no earlier one can precede any more, but from silent or newly admitted devices')
    .option('--follow', 'wait for more')
    .action(withContext(entries));
  program.command('evidence').description('forks, and what was refused').action(withContext(evidence));
  program
    .command('proof')
    .description('evidence of one entry, for tallystick-audit evidence')
    .argument('<origin>', 'the log')
    .argument('<index>', 'index of the entry', parseCount)
    .option('--out <file>', 'where to; standard output if not given')
    .action(withContext(prove));
  program
    .command('verify')
    .description('recompute everything from its bytes: logs, receipts, fleet log; exit 3 if something does not fit')
    .action(withContext(verify));
  program
    .command('export')
    .description('entries, payloads, seals and receipts, for tallystick-audit replay')
    .argument('[file]', 'where to; standard output if not given')
    .option('--log <origin>', 'one log; all if not given')
    .action(withContext(exportAll));

  addConfigCommands(program, withFleet, {
    check: withContext(configCheck),
    init: withContext(configInit),
    show: withContext(configShow),
  });
  return program;
}
