import { encodeUtf8 } from '../tlog/bytes.ts';
import { AGENT_SOURCE, encodeStem } from '../tlog/entry.ts';
import type { Reading } from './clock.ts';
import type { Message } from './log.ts';

/** The topics of the agent's own entries, FORMAT.md §3.3; their payloads are JSON of these shapes. */
export interface Events {
  start: { version: string; size: number };
  stop: { reason: string };
  heartbeat: { size: number; receipted: number };
  clock: { synchronised: boolean } | { step_ms: number };
  config: { sha256: string };
  continues: {
    origin: string;
    reason: string;
    size: number;
    sealed: number;
    root: string | null;
    receipt: string | null;
    moved: number;
  };
  shed: { origin: string; first: number; end: number; reason: string };
  pruned: { origin: string; end: number; seals?: number };
  refused: { count: number; reason: string };
  trouble: { what: string };
}

/** An event of the agent itself, as an entry like any other. */
export function event<Topic extends keyof Events>(reading: Reading, topic: Topic, payload: Events[Topic]): Message {
  return {
    stem: encodeStem({ ...reading, source: AGENT_SOURCE, topic, attributes: [] }),
    payload: encodeUtf8(JSON.stringify(payload)),
  };
}
