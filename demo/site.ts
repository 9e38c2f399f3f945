import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Status } from '../agent/status.ts';
import type { BrokerReport } from './broker-report.ts';
import { Ledger } from './ledger.ts';
import { Relay } from './relay.ts';
import { Service } from './service.ts';

export const FLEET = 'demo';
export const DEVICE = 'gateway-1';

export type Program = 'tallystick-agent' | 'tallystick-collector' | 'tallystick-audit';

/** What a command that ended by itself printed, and its exit code. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
}

const MAX_OUTPUT_BYTES = 2 ** 28;
const SECRET_MODE = 0o600;

/** A gateway and a collector in a folder of their own, each program of theirs in a process of its own. */
export class Site {
  readonly folder = mkdtempSync(join(tmpdir(), 'tallystick-demo-'));
  readonly socket = join(this.folder, 'agent.sock');
  readonly trust = join(this.folder, 'trust.txt');
  /** What the agent acknowledged: by PUBACK, as the broker tells, or by 201. */
  readonly acknowledged = new Ledger();
  /** Where the shipped programs are. */
  readonly #programs: string;
  readonly #onTrouble: (reason: string) => void;
  readonly #services: Service[] = [];
  #trust: readonly string[] = [];
  #broker: ChildProcess | undefined;
  #relay: Relay | undefined;

  constructor(programs: string, onTrouble: (reason: string) => void) {
    this.#programs = programs;
    this.#onTrouble = onTrouble;
  }

  get relay(): Relay {
    if (this.#relay === undefined) throw new Error('relay: expected a collector that runs, got none yet');
    return this.#relay;
  }

  config(program: Program): string {
    return join(this.folder, program === 'tallystick-agent' ? 'agent.toml' : 'collector.toml');
  }

  /** As a person types it in the folder where the demo was started. */
  command(program: Program, ...args: string[]): string {
    const path = relative(process.cwd(), join(this.#programs, `${program}.js`));
    const config = program === 'tallystick-audit' ? [] : ['--config', this.config(program)];
    return ['node', path, ...config, ...args].join(' ');
  }

  async run(program: Program, ...args: string[]): Promise<Ran> {
    const config = program === 'tallystick-audit' ? [] : ['--config', this.config(program)];
    const argv = [join(this.#programs, `${program}.js`), ...config, ...args];
    return new Promise((resolve, reject) => {
      execFile(process.execPath, argv, { maxBuffer: MAX_OUTPUT_BYTES }, (error, stdout, stderr) => {
        const code = error === null ? 0 : error.code;
        if (typeof code === 'number') resolve({ code, stdout });
        else reject(new Error(`${program} ${args[0] ?? ''} did not end well: ${stderr.trim() || (error?.message ?? '')}`));
      });
    });
  }

  /** One that has to work. */
  async #ask(program: Program, ...args: string[]): Promise<string> {
    const { code, stdout } = await this.run(program, ...args);
    if (code === 0) return stdout;
    throw new Error(`${program} ${args.join(' ')}: expected exit 0, got ${code}`);
  }

  /** Resolves to the port of the broker that the collector has in it. */
  async startCollector(): Promise<number> {
    const store = ['--set', `store.directory=${join(this.folder, 'collector')}`];
    const broker = ['--set', 'broker.enabled=true', '--set', 'broker.port=0'];
    const init = await this.#ask('tallystick-collector', '--json', ...store, ...broker, 'init', '--fleet', FLEET);
    const { trust } = JSON.parse(init) as { trust: string[] };
    this.#trust = trust;
    writeFileSync(this.trust, `${trust.join('\n')}\n`);
    const service = this.#start('tallystick-collector');
    const port = Number((await service.hears(/"port":([0-9]+).*"msg":"broker: listening"/))[1]);
    await service.hears(/"msg":"started"/);
    this.#relay = await Relay.to(port);
    return port;
  }

  /** Resolves to the address of the gateway's own broker. */
  async startBroker(): Promise<string> {
    const broker = fork(join(this.#programs, 'demo-broker.js'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#broker = broker;
    broker.once('exit', (code) => {
      if (this.#broker !== undefined) this.#onTrouble(`the gateway's broker ended by itself (exit ${code ?? 'by a signal'})`);
    });
    const port = await new Promise<number>((resolve, reject) => {
      broker.once('error', reject);
      broker.once('exit', () => {
        reject(new Error("the gateway's broker did not start"));
      });
      broker.on('message', (report: BrokerReport) => {
        if (report.kind === 'listening') resolve(report.port);
        else this.acknowledged.add(report.topic, Buffer.from(report.payload, 'base64'));
      });
    });
    return `mqtt://127.0.0.1:${port}`;
  }

  async startAgent(brokerUrl: string): Promise<void> {
    const secret = async (name: string, ...args: string[]): Promise<string> => {
      const path = join(this.folder, name);
      writeFileSync(path, await this.#ask('tallystick-collector', ...args), { mode: SECRET_MODE });
      return path;
    };
    const key = (kind: string): string => this.#trust.find((line) => line.startsWith(`${kind} `))?.slice(kind.length + 1) ?? '';
    const settings = {
      'store.directory': join(this.folder, 'agent'),
      'runtime.socket': this.socket,
      'mqtt.url': brokerUrl,
      // So that there is something to see; the default is a minute.
      'seal.interval_s': '1',
      'uplink.url': `mqtt://127.0.0.1:${this.relay.port}`,
      'uplink.fleet_key': key('fleet'),
      'uplink.collector_key': key('collector'),
      'uplink.username': DEVICE,
      'uplink.password_file': await secret('password', 'devices', 'password', DEVICE),
      'uplink.token_file': await secret('token', 'token', 'create', '--device', DEVICE),
    };
    const set = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    await this.#ask('tallystick-agent', ...set, 'init', '--fleet', FLEET, '--device', DEVICE);
    await this.#start('tallystick-agent').hears(/"msg":"started"/);
  }

  /** What the running agent says of its log. */
  status(): Promise<Status> {
    return new Promise((resolve, reject) => {
      get({ socketPath: this.socket, path: '/v1/status' }, (answer) => {
        text(answer).then((body) => {
          resolve(JSON.parse(body) as Status);
        }, reject);
      }).once('error', reject);
    });
  }

  /** Ends all processes and removes the folder. */
  async close(): Promise<void> {
    // Agent before collector and broker: it has something to tell both.
    for (const service of this.#services.reverse()) await service.stop();
    this.#relay?.close();
    const broker = this.#broker;
    this.#broker = undefined;
    if (broker?.exitCode === null && broker.signalCode === null) {
      broker.kill('SIGTERM');
      await once(broker, 'exit');
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  #start(program: Program): Service {
    const args = [join(this.#programs, `${program}.js`), '--config', this.config(program), 'run'];
    const service = new Service(program, args, this.#onTrouble);
    this.#services.push(service);
    return service;
  }
}
