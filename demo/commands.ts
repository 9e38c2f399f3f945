import { join } from 'node:path';
import type { Teller } from './story.ts';

/** Commands for another terminal, as they are typed in the folder where the demo was started. */
export async function printCommands({ site, screen }: Teller): Promise<void> {
  const { origin, receipted } = await site.status();
  const index = String(Math.floor(receipted / 2));
  const proof = join(site.folder, `entry-${index}.tally.json`);
  screen.title('Try these in another terminal, in this folder, while the machines go on');
  const commands = [
    site.command('tallystick-agent', 'status'),
    site.command('tallystick-agent', 'tail', '-n', '5'),
    site.command('tallystick-agent', 'verify'),
    site.command('tallystick-collector', 'devices'),
    site.command('tallystick-collector', 'entries', '--follow'),
    site.command('tallystick-collector', 'proof', origin, index, '--out', proof),
    site.command('tallystick-audit', 'evidence', proof, '--trust', site.trust),
  ];
  for (const command of commands) screen.print(`  ${command}`);
  screen.print('');
}
