import { runProgram, type Terminal } from '../program/command.ts';
import { EXIT } from '../program/failure.ts';
import { collectorProgram } from './commands.ts';
import type { Context } from './context.ts';

const terminal: Terminal = { stdout: process.stdout, stderr: process.stderr, exitCode: EXIT.ok };
const context: Context = {
  terminal,
  env: process.env,
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

process.exit(await runProgram(collectorProgram(context), process.argv.slice(2), terminal));
