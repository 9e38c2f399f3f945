import type { Suite } from '../tlog/suite.ts';
import { parseNote } from '../tlog/note.ts';
import { parseOrigin } from '../tlog/origin.ts';
import { verifyReceipt } from '../tlog/receipt.ts';
import { STATE_FIRST_LINE, verifyState } from '../tlog/state.ts';
import { COSIGNATURE, ED25519, parseVkey } from '../tlog/vkey.ts';
import type { AgentConfig } from './config.ts';
import type { ProbeOptions } from './probe.ts';
import type { LogRow } from './row.ts';

/**
 * The hello of FORMAT.md §11 as a probe: what the agent says itself at each connection. A state note is not all of the answer where
 * something is held: a receipt follows, which only the collector's key can sign. What the configured keys did not sign throws
 * `signature`.
 */
export function helloOf(suite: Suite, { uplink }: AgentConfig, row: LogRow): Pick<Required<ProbeOptions>, 'filters' | 'hello'> {
  const topics = `tallystick/v1/${parseOrigin(row.origin).device}`;
  const fleet = parseVkey(suite, uplink.fleet_key, ED25519);
  const collector = parseVkey(suite, uplink.collector_key, COSIGNATURE);
  const identity = parseVkey(suite, row.vkey, ED25519);
  return {
    filters: [`${topics}/admission`, `${topics}/receipt`],
    hello: {
      topic: `${topics}/enroll`,
      payload: row.enrolment,
      isAnswer: (topic, payload) => {
        const [first, second] = parseNote(payload).text.split('\n');
        if (topic.endsWith('/receipt')) {
          if (first !== row.origin) return false;
          verifyReceipt(suite, payload, { identity, collector });
          return true;
        }
        if (first !== STATE_FIRST_LINE || second !== row.origin) return false;
        const { standing, size } = verifyState(suite, payload, fleet);
        return standing !== 'admitted' || size === 0;
      },
    },
  };
}
