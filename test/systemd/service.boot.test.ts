import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { boot, commandsOf, until, type Machine } from './machine.ts';

// Both services on one machine, installed by the commands of the README under a real systemd. The tests build on one another, in this
// order. There is no network but loopback, and no clock is synchronised: neither is waited for.

const [INSTALL_AGENT = '', TRY_AGENT = '', INSTALL_COLLECTOR = '', ADD_SECRET = ''] = commandsOf('Install as a service');

let machine: Machine;
/** What tallystick-collector init printed. */
let printed = '';

beforeAll(async () => {
  machine = await boot();
});

afterAll(async () => {
  await machine.end();
});

async function waitFor(service: string, expected: Record<string, string>): Promise<void> {
  await until(async () => {
    const shown = await machine.show(service, ...Object.keys(expected));
    return Object.entries(expected).every(([name, value]) => shown[name] === value);
  });
}

async function journal(service: string): Promise<string> {
  return machine.run(`journalctl --sync; journalctl -u ${service} -o cat --no-pager`);
}

/** Of the agent's log, by its own command, whose exit code says whether all is well. */
async function status(): Promise<Record<string, unknown>> {
  const { out } = await machine.try('runuser -u tallystick -- tallystick-agent status --json');
  return JSON.parse(out) as Record<string, unknown>;
}

const RUNNING = { ActiveState: 'active', SubState: 'running', Result: 'success' };

test('the clone runs without what only its build and tests need', async () => {
  await machine.run('cd /opt/tallystick && npm prune --omit=dev --offline --no-audit && test ! -e node_modules/vitest');
});

test('the commands of the README install the agent; it says that it is ready, and will start with the machine', async () => {
  await machine.run(INSTALL_AGENT);
  expect(await machine.show('tallystick-agent', 'Type', 'UnitFileState', ...Object.keys(RUNNING))).toEqual({
    Type: 'notify',
    UnitFileState: 'enabled',
    ...RUNNING,
  });
});

test('the commands of the README record a message, which is in the log', async () => {
  const out = await machine.run(TRY_AGENT);
  expect(out).toContain('"count":1');
  expect(out).toMatch(/press\/temperature.*21\.5/);
  expect(out).toContain('everything fits');
});

test('a user of its group may have messages recorded and read nothing of the store, another one neither', async () => {
  const post = `curl -sS --unix-socket /run/tallystick/agent.sock -d 1 http://localhost/v1/messages/press/count`;
  await machine.run('useradd press && useradd other && usermod -aG tallystick press');
  expect(await machine.run(`runuser -u press -- ${post}`)).toContain('"count":1');
  expect((await machine.try('runuser -u press -- cat /var/lib/tallystick/log.db')).err).toContain('Permission denied');
  expect((await machine.try(`runuser -u other -- ${post}`)).code).not.toBe(0);
});

test('the commands of the README install the collector beside it', async () => {
  printed = await machine.run(INSTALL_COLLECTOR);
  expect(await machine.show('tallystick-collector', 'Type', 'UnitFileState', ...Object.keys(RUNNING))).toEqual({
    Type: 'notify',
    UnitFileState: 'enabled',
    ...RUNNING,
  });
});

test('password and token from the credential store take the log to the collector, which receipts it', async () => {
  const key = (name: string): string => new RegExp(`^\\S+ (example\\.com${name}\\+\\S+)$`, 'm').exec(printed)?.[1] ?? '';
  await machine.run(`
    cd /tmp
    runuser -u tallystick-collector -- tallystick-collector devices password press-7 --json > password.json
    node -p 'JSON.parse(fs.readFileSync("password.json")).password' > password.txt
    ${ADD_SECRET}
    runuser -u tallystick-collector -- tallystick-collector token create --device press-7 --json > token.json
    node -p 'JSON.parse(fs.readFileSync("token.json")).token' > /etc/credstore/tallystick-agent.uplink-token
    chmod 600 /etc/credstore/*
    mkdir -p /etc/tallystick/agent.conf.d
    cat > /etc/tallystick/agent.conf.d/uplink.toml <<'TOML'
[uplink]
url = "mqtt://127.0.0.1:1883"
username = "press-7"
password_file = "$CREDENTIALS_DIRECTORY/uplink-password"
token_file = "$CREDENTIALS_DIRECTORY/uplink-token"
fleet_key = "${key('')}"
collector_key = "${key('/collector')}"
[seal]
interval_s = 1
TOML
    systemctl restart tallystick-agent
  `);
  await until(async () => Number((await status())['receipted']) > 0);
  // Whoever else has the service's user does not have them.
  expect((await machine.try('runuser -u tallystick -- cat /etc/credstore/tallystick-agent.uplink-password')).code).not.toBe(0);
});

describe.each([
  ['tallystick-agent', '268435456', '201326592'],
  ['tallystick-collector', '536870912', '402653184'],
])('%s', (service, memoryMax, memoryHigh) => {
  const config = `/etc/tallystick/${service.replace('tallystick-', '')}.conf.d/test.toml`;

  test('its unit has no fault, and exposes at most 1.5 of 10', async () => {
    const unit = `/etc/systemd/system/${service}.service`;
    expect(await machine.try(`systemd-analyze verify ${unit}`)).toEqual({ code: 0, out: '', err: '' });
    await machine.run(`systemd-analyze security --offline=true --threshold=15 --no-pager ${unit}`);
  });

  test('it waits for neither network nor time', async () => {
    const { After = '', Wants = '', Requires = '' } = await machine.show(service, 'After', 'Wants', 'Requires');
    expect(After).toContain('basic.target');
    expect(`${After} ${Wants} ${Requires}`).not.toMatch(/network|time|ntp|chrony|resolve/);
  });

  test('it has a user of its own, no capability, a filter of system calls, bounded memory, and leaves no core', async () => {
    const { MainPID = '', ...bounds } = await machine.show(
      service,
      'MainPID',
      'MemoryMax',
      'MemoryHigh',
      'TasksMax',
      'WatchdogUSec',
    );
    expect(bounds).toEqual({ MemoryMax: memoryMax, MemoryHigh: memoryHigh, TasksMax: '64', WatchdogUSec: '1min' });
    const process = await machine.run(`cat /proc/${MainPID}/status /proc/${MainPID}/limits`);
    for (const line of [/^CapBnd:\t0+$/m, /^CapEff:\t0+$/m, /^NoNewPrivs:\t1$/m, /^Seccomp:\t2$/m]) expect(process).toMatch(line);
    expect(process).toMatch(/^Max core file size +0 +0 /m);
    expect(process).not.toMatch(/^Uid:\t0/m);
  });

  test('killed, it starts again', async () => {
    const { NRestarts = '' } = await machine.show(service, 'NRestarts');
    await machine.run(`systemctl kill --signal=KILL --kill-who=main ${service}`);
    await waitFor(service, { ...RUNNING, NRestarts: String(Number(NRestarts) + 1) });
  });

  test('it feeds the watchdog, which ends it and starts it again where it does nothing', async () => {
    await machine.run(`
      mkdir -p /run/systemd/system/${service}.service.d
      printf '[Service]\\nWatchdogSec=3\\n' > /run/systemd/system/${service}.service.d/watchdog.conf
      systemctl daemon-reload
      systemctl restart ${service}
    `);
    const fed = async (): Promise<string> =>
      (await machine.show(service, 'WatchdogTimestampMonotonic'))['WatchdogTimestampMonotonic'] ?? '';
    const seen = new Set([await fed()]);
    // For longer than without food.
    await until(async () => seen.add(await fed()).size > 4);
    expect(await machine.show(service, 'NRestarts', ...Object.keys(RUNNING))).toEqual({ NRestarts: '0', ...RUNNING });
    expect(await journal(service)).not.toContain('Watchdog timeout');
    await machine.run(`systemctl kill --signal=STOP --kill-who=main ${service}`);
    await waitFor(service, { ...RUNNING, NRestarts: '1' });
    expect(await journal(service)).toContain('Watchdog timeout');
    await machine.run(
      `rm /run/systemd/system/${service}.service.d/watchdog.conf; systemctl daemon-reload; systemctl restart ${service}`,
    );
  });

  test('a wrong configuration ends it with 78 and a line that names it; it is not started again', async () => {
    await machine.run(`mkdir -p $(dirname ${config}); echo 'nothing.like = "this"' > ${config}`);
    expect((await machine.try(`systemctl restart ${service}`)).code).not.toBe(0);
    // What systemd would start again it calls "activating", at once.
    expect(await machine.show(service, 'ActiveState', 'SubState', 'ExecMainStatus', 'NRestarts')).toEqual({
      ActiveState: 'failed',
      SubState: 'failed',
      ExecMainStatus: '78',
      NRestarts: '0',
    });
    expect(await journal(service)).toContain(`${config}:1:1: nothing: expected a known key`);
    await machine.run(`rm ${config}; systemctl start ${service}`);
    expect(await machine.show(service, ...Object.keys(RUNNING))).toEqual(RUNNING);
  });

  test('it stops in order, and stays so', async () => {
    const before = (await journal(service)).split('"msg":"stopped"').length;
    await machine.run(`systemctl stop ${service}`);
    expect(await machine.show(service, 'ActiveState', 'Result', 'ExecMainStatus', 'ExecMainCode')).toEqual({
      ActiveState: 'inactive',
      Result: 'success',
      ExecMainStatus: '0',
      ExecMainCode: '1',
    });
    expect((await journal(service)).split('"msg":"stopped"').length).toBe(before + 1);
    expect(await journal(service)).not.toContain('systemd could not be told');
    expect((await journal(service)).match(/(?:Seccomp|EPERM|Permission denied).*/g)).toBeNull();
  });
});

test('after all of it the message is still there, and everything fits', async () => {
  expect(await machine.run('runuser -u tallystick -- tallystick-agent tail -n 1000')).toMatch(/press\/temperature.*21\.5/);
  expect(await machine.run('runuser -u tallystick -- tallystick-agent verify')).toContain('everything fits');
  const { entries, sealed } = await status();
  expect(sealed).toBe(entries);
  await machine.run('runuser -u tallystick-collector -- tallystick-collector verify');
});
