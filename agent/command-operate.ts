import type { Command } from 'commander';
import type { Broker } from '../program/broker-socket.ts';
import { printResult } from '../program/command.ts';
import { sourcesOf } from '../program/config-command.ts';
import { readCredentials, type CredentialFiles } from '../program/credentials.ts';
import { EXIT, Failure, formatFailure } from '../program/failure.ts';
import { describeFindings, fail, pass, warn, type Finding } from '../program/finding.ts';
import { native } from '../program/native.ts';
import { writeNew } from '../program/output.ts';
import { checkSchema } from '../program/schema.ts';
import { runAsService } from '../program/service-user.ts';
import { version } from '../program/version.ts';
import { visibleLines } from '../program/visible.ts';
import { encodeUtf8 } from '../tlog/bytes.ts';
import { askAgent } from './ask.ts';
import { Clock } from './clock.ts';
import { loadConfig, reading, type Context } from './context.ts';
import { examine, type Asked } from './doctor.ts';
import { pathsIn } from './generation.ts';
import { helloOf } from './hello.ts';
import { gather } from './known.ts';
import { checkPermissions } from './permissions.ts';
import { probe } from './probe.ts';
import { reportOf } from './report.ts';
import { explainStore } from './repair.ts';
import type { LogRow } from './row.ts';
import { STATEMENTS, STORE } from './schema.ts';
import { describeLog, listFiles, supportBundle } from './support.ts';
import { formatCount, type Known } from './trouble.ts';

/** Looks at everything an agent needs, beside it, and changes nothing. */
export async function doctor(_: object, command: Command, context: Context): Promise<void> {
  const { findings } = await examineAll(command, context);
  const { ok, text } = describeFindings(findings);
  if (!ok) context.terminal.exitCode = EXIT.trouble;
  printResult(context.terminal, command, { json: { ok, findings }, text });
}

/** Explains a damaged store; changes nothing. */
export function repair(_: object, command: Command, context: Context): void {
  const { values } = loadConfig(command, context);
  const findings = tried('store', () => explainStore(native, pathsIn(values.store.directory)));
  const ok = findings.every(({ status }) => status !== 'FAIL');
  const { text } = describeFindings(findings);
  if (!ok) context.terminal.exitCode = EXIT.trouble;
  printResult(context.terminal, command, { json: { ok, findings }, text });
}

/** Gathers what a maintainer needs; nothing in it is secret, or was said by a machine. */
export async function support(options: { out?: string }, command: Command, context: Context, node: string): Promise<void> {
  const { terminal } = context;
  const { findings: found, config, known } = await examineAll(command, context);
  const { values } = config ?? {};
  const logs: unknown[] = [];
  // What a damaged store still tells is worth having.
  const unread = tried('store', () => {
    if (values !== undefined && known !== undefined)
      reading(values, (rows) => {
        for (const row of rows.logs()) logs.push(describeLog(rows, row));
      });
    return [];
  });
  const files: unknown[] = [];
  const unlisted = tried('files', () => {
    if (values !== undefined) files.push(...listFiles(values.store.directory));
    return [];
  });
  const findings = [...found, ...unread, ...unlisted];
  const bundle = supportBundle({
    version,
    node,
    config: config?.effective() ?? [],
    // The line that is wrong may be a password in the wrong place.
    findings:
      config === undefined
        ? findings.map((line) => ({ ...line, detail: line.detail.replace(/, got .*/s, ', got something else') }))
        : findings,
    report: known === undefined ? undefined : reportOf(known),
    logs,
    files,
  });
  const text = `${JSON.stringify(bundle, null, 2)}\n`;
  if (options.out === undefined) {
    terminal.stdout.write(visibleLines(text));
    return;
  }
  writeNew(options.out, encodeUtf8(text), 0o600);
  printResult(terminal, command, {
    json: { file: options.out, bytes: text.length },
    text: `${options.out}: ${formatCount(text.length)} characters, no keys, passwords or payloads; read it before you send it`,
  });
}

interface Examined {
  readonly findings: Finding[];
  /** Undefined where it can't be used. */
  readonly config: ReturnType<typeof loadConfig> | undefined;
  /** Undefined where the store can't be read. */
  readonly known: Known | undefined;
}

async function examineAll(command: Command, context: Context): Promise<Examined> {
  const config: { all?: ReturnType<typeof loadConfig> } = {};
  const loaded = tried('configuration', () => {
    config.all = loadConfig(command, context);
    return [pass('configuration', `${sourcesOf(command, context.env).path}: can be used`)];
  });
  if (config.all === undefined) return { findings: loaded, config: undefined, known: undefined };
  const { values } = config.all;
  const paths = pathsIn(values.store.directory);
  const { mqtt, uplink } = values;
  const secrets = [mqtt.password_file, mqtt.key_file, uplink.password_file, uplink.key_file, uplink.token_file];
  const row: { newest?: LogRow } = {};
  const store = tried('store', () =>
    reading(values, (rows) => {
      row.newest = rows.logs().at(-1) as LogRow;
      return checkSchema([], rows.schema(), STATEMENTS).map((found) =>
        found.what === 'store'
          ? pass('store', `${paths.store} can be read; tallystick-agent verify recomputes all of it`)
          : found,
      );
    }),
  );
  const permissions = tried('permissions', () =>
    checkPermissions(
      paths,
      secrets.filter((path) => path.startsWith('/')),
    ),
  );
  const clock = new Clock();
  clock.checkSynchronised();
  const clientId = `tallystick-${values.device.name}-doctor-${Math.floor(Math.random() * 2 ** 32).toString(16)}`;
  const { newest } = row;
  const ownBroker = await tryBroker('mqtt', mqtt, (broker) => probe({ broker, clientId, filters: mqtt.filters }));
  const collector = await tryBroker('uplink', uplink, async (broker) =>
    newest === undefined ? 'not tried' : probe({ broker, clientId, ...helloOf(native, values, newest) }),
  );
  const asked: Asked = { isSynchronised: clock.read().clock === 1, mqtt: ownBroker.probed, uplink: collector.probed };
  const agent = await askAgent(values.runtime.socket);
  const found: { known?: Known } = {};
  const parts =
    newest === undefined
      ? []
      : tried('store', () => {
          found.known = reading(values, (rows) => gather(native, values, rows, agent, clock.read().time / 1e6));
          return examine(found.known, asked);
        });
  const findings = [...loaded, ...store, ...permissions, ...ownBroker.findings, ...collector.findings, ...parts];
  return { findings, config: config.all, known: found.known };
}

/** What can't be looked at is a finding too. */
function tried(what: string, look: () => Finding[]): Finding[] {
  try {
    return look();
  } catch (error) {
    return [unseen(what, error)];
  }
}

/** One that can't be tried has a line here; of any other `examine` tells. */
async function tryBroker(
  section: 'mqtt' | 'uplink',
  settings: CredentialFiles & { readonly url: string },
  work: (broker: Broker) => Promise<Asked['mqtt']>,
): Promise<{ probed: Asked['mqtt']; findings: Finding[] }> {
  if (settings.url === '') return { probed: undefined, findings: [] };
  const what = `broker of ${section}.url`;
  if ([settings.password_file, settings.key_file].some((path) => path.startsWith('$'))) {
    const detail =
      'could not be tried, as only the service has its secrets (LoadCredential=); status says whether it is connected';
    return { probed: 'not tried', findings: [warn(what, detail)] };
  }
  try {
    return { probed: await work({ url: settings.url, ...readCredentials(section, settings) }), findings: [] };
  } catch (error) {
    return { probed: 'not tried', findings: [unseen(what, error)] };
  }
}

/** Our own bugs go through. */
function unseen(what: string, error: unknown): Finding {
  if (error instanceof Failure) return fail(what, formatFailure(error));
  if (!(error instanceof Error) || !('code' in error)) throw error;
  const isClosed = error.code === 'EACCES' || error.code === 'EPERM';
  return fail(what, `${error.message}${isClosed ? `; ${runAsService(STORE.program)}` : ''}`);
}
