import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { Duplex } from 'node:stream';
import { onTestFinished, vi } from 'vitest';
import { ROOT } from '../support/sources.ts';

/** How to get a network and process ids of one's own: as root, or as root of a user namespace. Undefined where neither is allowed. */
export const OWN_NETWORK: readonly string[] | undefined = [
  ['unshare', '-n', '-p', '-f', '--kill-child'],
  ['unshare', '-r', '-n', '-p', '-f', '--kill-child'],
].find(
  ([program = '', ...args]) => spawnSync(program, [...args, 'ip', 'link', 'set', 'lo', 'up'], { stdio: 'ignore' }).status === 0,
);

/**
 * Process 1 of the namespace: with it ends all that was started there. The machines' shells listen to 3 and 5, and say to 4 and 6: a
 * program that makes what it writes to non-blocking must not do so to what its shell reads.
 */
const SCRIPT = `
ip link set lo up
mosquitto -c mosquitto.conf 3>&- 4>&- 5>&- 6>&- &
machine() { cd "$1" && HOME=$PWD exec bash --norc -O expand_aliases; }
machine collector <&3 >&4 2>&1 3>&- 4>&- 5>&- 6>&- & collector=$!
machine pi <&5 >&6 2>&1 3>&- 4>&- 5>&- 6>&- & pi=$!
wait "$collector" "$pi"
`;

/** What no program prints, before and after the exit code of a command. */
const MARK = '\x1e';
/** Longer than an agent waits between two attempts to connect. */
const WAIT = { timeout: 150_000, interval: 20 };

export interface Typed {
  readonly code: number;
  /** Both streams. */
  readonly out: string;
}

/** A machine's one shell, with aliases and jobs, in a home of its own where `~/tallystick` is this clone. */
export interface Machine {
  /** Resolves when the command has ended; what it left in the background goes on. */
  type(command: string): Promise<Typed>;
}

export interface Machines {
  readonly collector: Machine;
  /** With a mosquitto on port 1883, as its package leaves it: for this machine alone. */
  readonly pi: Machine;
  /** Ends every process of both; resolves once there is none. The test's end does it else. */
  end(): Promise<void>;
}

/** Both on one network, which nobody else is on. */
export function newMachines(): Machines {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-tour-'));
  for (const name of ['collector', 'pi']) {
    mkdirSync(join(folder, name));
    symlinkSync(ROOT, join(folder, name, 'tallystick'));
  }
  writeFileSync(join(folder, 'mosquitto.conf'), 'user root\n');
  const [program = '', ...args] = OWN_NETWORK ?? [];
  const namespace = spawn(program, [...args, 'bash', '-c', SCRIPT], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
    env: { PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`, LANG: 'C.UTF-8' },
  });
  let said = '';
  namespace.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const closed = once(namespace, 'close');
  const end = async (): Promise<void> => {
    namespace.kill('SIGKILL');
    // Each process there holds one of the streams until it ends.
    await closed;
  };
  onTestFinished(async () => {
    await end();
    rmSync(folder, { recursive: true, force: true });
  });

  const stream = (fd: number): Duplex => {
    const found: unknown = namespace.stdio[fd];
    if (!(found instanceof Duplex)) throw new Error('expected a stream to or from a shell, got none');
    // Who is killed reads no more.
    return found.on('error', () => undefined);
  };
  const machineOn = (input: Duplex, output: Duplex): Machine => {
    let printed = '';
    output.setEncoding('utf8').on('data', (text: string) => (printed += text));
    const type = async (command: string): Promise<Typed> => {
      printed = '';
      input.write(`${command}\nprintf '\\036%s\\036' "$?"\n`);
      const [out = '', code] = await vi.waitFor(() => {
        const parts = printed.split(MARK);
        if (parts.length < 3) throw new Error(`expected "${command}" to end, got ${printed}; the network said ${said}`);
        return parts;
      }, WAIT);
      return { code: Number(code), out };
    };
    return { type };
  };
  return { collector: machineOn(stream(3), stream(4)), pi: machineOn(stream(5), stream(6)), end };
}
