import { join } from 'node:path';
import { plural } from '../program/plural.ts';
import { Ledger, readMessages } from './ledger.ts';
import { count } from './screen.ts';
import type { Senders } from './senders.ts';
import { audit, until, type Teller } from './story.ts';

const PATIENCE_MS = 60_000;
const INTACT = 0;

/** The end of a run: every message that the agent acknowledged was receipted, and is in the export that the auditor finds intact. */
export async function account(teller: Teller, senders: Senders): Promise<void> {
  const { site, screen, onTrouble, pause } = teller;
  screen.title('The account');
  const { mqtt, http } = senders.sent;
  const sent = mqtt + http;
  await senders.stop();
  screen.say('machines', `sent ${count(sent)} ${plural(sent, 'message')}: ${count(mqtt)} by MQTT, ${count(http)} by HTTP`);
  const untilMs = performance.now() + PATIENCE_MS;
  while (site.acknowledged.size < sent) {
    if (performance.now() > untilMs)
      throw new Error(`expected ${sent} ${plural(sent, 'message')} to be acknowledged, got ${site.acknowledged.size}`);
    await pause(100);
  }
  const acknowledged = site.acknowledged.size;
  const { entries } = await site.status();
  screen.say(
    'agent',
    `acknowledged ${count(acknowledged)}, recorded ${count(entries)} ${plural(entries, 'entry', 'entries')} with its own`,
  );
  const { receipted } = await until(teller, (status) => status.receipted >= entries, PATIENCE_MS);
  screen.say('collector', `receipted ${count(receipted)}`);
  const file = join(site.folder, 'collector.tally');
  await site.run('tallystick-collector', 'export', file);
  await audit(teller, file, INTACT);
  const held = new Ledger();
  for (const { topic, payload } of readMessages(file)) held.add(topic, payload);
  const lacking = site.acknowledged.lackingIn(held);
  if (lacking > 0)
    onTrouble(
      `${count(lacking)} acknowledged ${plural(lacking, 'message is', 'messages are')} not in the collector's export as ${plural(lacking, 'it was', 'they were')} sent`,
    );
  else screen.say('', `each of the ${count(acknowledged)} is in the collector's export, as it was sent`);
}
