import { afterAll, beforeAll, expect, test } from 'vitest';
import { boot, commandsOf, type Machine } from './machine.ts';

// A damaged store of gigabytes takes longer to recover than systemd waits for a start. It is told to wait: else it would kill the agent
// and start it again for ever, and nothing would be recorded. Here it waits for a second, and the store is smaller.

const [INSTALL_AGENT = ''] = commandsOf('Install as a service');
const STORE = '/var/lib/tallystick/log.db';
const TIMEOUT_SECONDS = 1;

let machine: Machine;

beforeAll(async () => {
  machine = await boot();
  await machine.run(INSTALL_AGENT);
  await machine.run(`
    systemctl stop tallystick-agent
    seq -f '{"topic":"t","payload":{"id":%.0f,"note":"${'abcdefghij'.repeat(20)}"}}' 300000 > /tmp/messages
    runuser -u tallystick -- tallystick-agent append < /tmp/messages
    dd if=/dev/zero of=${STORE} bs=4096 seek=5000 count=1 conv=notrunc
    runuser -u tallystick -- touch ${STORE}.suspect
    mkdir /etc/systemd/system/tallystick-agent.service.d
    printf '[Service]\\nTimeoutStartSec=${TIMEOUT_SECONDS}\\n' > /etc/systemd/system/tallystick-agent.service.d/hasty.conf
    systemctl daemon-reload`);
}, 120_000);

afterAll(async () => {
  await machine.end();
});

test('a start that looks through the store and recovers it is waited for', { timeout: 120_000 }, async () => {
  await machine.run('systemctl start tallystick-agent');
  const journal = await machine.run('journalctl --sync; journalctl -u tallystick-agent -o cat --no-pager');
  expect(journal).toContain('the store may be damaged (log.db.suspect is there): looking through all');
  expect(journal).toMatch(/the store was damaged and stands in .*damaged-1: /);
  expect(journal).not.toContain('timed out');
  const shown = await machine.show(
    'tallystick-agent',
    'ActiveState',
    'NRestarts',
    'ExecMainStartTimestampMonotonic',
    'ActiveEnterTimestampMonotonic',
  );
  expect(shown).toMatchObject({ ActiveState: 'active', NRestarts: '0' });
  const microseconds = Number(shown['ActiveEnterTimestampMonotonic']) - Number(shown['ExecMainStartTimestampMonotonic']);
  expect(microseconds).toBeGreaterThan(TIMEOUT_SECONDS * 1e6);
});
