import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serviceUser } from '../../program/service-user.ts';

test.each(['tallystick-agent', 'tallystick-collector'])('the user of %s is the one that its unit names', (program) => {
  const unit = readFileSync(join(import.meta.dirname, '..', '..', 'systemd', `${program}.service`), 'utf8');
  expect(unit).toContain(`\nUser=${serviceUser(program)}\n`);
});
