import { EXIT } from '../program/failure.ts';
import { runProgram } from '../program/command.ts';
import type { Terminal } from '../program/command.ts';
import { auditProgram } from './command.ts';

const terminal: Terminal = { stdout: process.stdout, stderr: process.stderr, exitCode: EXIT.ok };

process.exit(await runProgram(auditProgram(terminal), process.argv.slice(2), terminal));
