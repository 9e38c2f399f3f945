import type { Command } from 'commander';
import { createProgram, parseAtLeastOne, parseChecked, parseCount, runProgram, type Terminal } from '../program/command.ts';
import { addConfigCommands, withConfig } from '../program/config-command.ts';
import { EXIT } from '../program/failure.ts';
import { configCheck, configInit, configShow, init } from './command-init.ts';
import { exportAll, prove, status, tail, verify } from './command-read.ts';
import { doctor, repair, support } from './command-operate.ts';
import { append, runService } from './command-write.ts';
import { DEFAULT_CONFIG_PATH } from './config.ts';
import type { Context } from './context.ts';
import { checkTopic } from './topic.ts';

const terminal: Terminal = { stdout: process.stdout, stderr: process.stderr, exitCode: EXIT.ok };
const context: Context = {
  terminal,
  env: process.env,
  stdin: process.stdin,
  uid: process.getuid?.(),
  nowMs: () => performance.now(),
  stopSignal: () => {
    const stop = new AbortController();
    for (const name of ['SIGTERM', 'SIGINT'] as const)
      process.once(name, () => {
        stop.abort(name);
      });
    return stop.signal;
  },
};

/** An action with what it needs from the process behind the arguments that commander gives. */
function withContext<Args extends unknown[]>(action: (...args: [...Args, Context]) => void | Promise<void>) {
  return (...args: Args): void | Promise<void> => action(...args, context);
}

const program = withConfig(
  createProgram('tallystick-agent', 'Records machine-to-machine messages in a log that nobody can alter unseen.', terminal),
  DEFAULT_CONFIG_PATH,
);

function withNames(command: Command): Command {
  return command
    .requiredOption('--fleet <name>', 'fleet that the device belongs to')
    .requiredOption('--device <name>', 'name of this device in the fleet');
}

withNames(program.command('init'))
  .description('make keys, store and configuration of this device; print its fingerprint')
  .option('--user <name>', 'who gets the files; by default the user "tallystick" if root runs this')
  .action(withContext(init));
program.command('run').description('the service: record, seal, until told to stop').action(withContext(runService));
program
  .command('append')
  .description('record standard input: a message a line with --topic, else NDJSON of {"topic", "payload"}')
  .option('--topic <topic>', 'topic of the messages; a line is a payload as it is', parseChecked(checkTopic))
  .option('--ndjson', 'lines are NDJSON; --topic is for those that name none')
  .option('--batch <lines>', 'lines of one commit', parseAtLeastOne, 1000)
  .action(withContext(append));
program
  .command('verify')
  .description('recompute everything: chain, tree, seals, receipts, triggers, keys; exit 3 if something does not fit')
  .action(withContext(verify));
program
  .command('status')
  .description('where the log stands, and each trouble with what to do; exit 6 if something needs somebody')
  .action(withContext(status));
program
  .command('doctor')
  .description('look at configuration, store, keys, clock, disk, brokers and collector; exit 6 if something fails')
  .action(withContext(doctor));
program
  .command('repair')
  .description('explain a damaged store, what is recovered of it and what was set aside; deletes and changes nothing')
  .action(withContext(repair));
program
  .command('support-bundle')
  .description('what a maintainer needs, without keys, passwords and payloads, as JSON')
  .option('--out <file>', 'where to; standard output if not given')
  .action((options: { out?: string }, command: Command) => support(options, command, context, process.versions.node));
program
  .command('tail')
  .description('the newest entries')
  .addHelpText('after', '\nA "?" after a time: the clock was not known to be synchronised.')
  .option('-n <count>', 'how many', parseCount, 10)
  .option('--log <origin>', 'of an earlier generation')
  .action(withContext(tail));
program
  .command('proof')
  .description('evidence of one entry, for tallystick-audit evidence')
  .argument('<index>', 'index of the entry', parseCount)
  .option('--out <file>', 'where to; standard output if not given')
  .option('--log <origin>', 'of an earlier generation')
  .action(withContext(prove));
program
  .command('export')
  .description('entries, payloads and seals, for tallystick-audit replay')
  .argument('[file]', 'where to; standard output if not given')
  .option('--log <origin>', 'one generation; all if not given')
  .action(withContext(exportAll));

addConfigCommands(program, withNames, {
  check: withContext(configCheck),
  init: withContext(configInit),
  show: withContext(configShow),
});

process.exit(await runProgram(program, process.argv.slice(2), terminal));
