import type { Logger } from 'pino';
import type { Broker } from '../program/broker-socket.ts';
import type { QuietLog } from '../program/quiet-log.ts';
import type { Signer } from '../tlog/vkey.ts';
import type { Connection } from './connection.ts';
import type { DeliveryParts } from './delivery.ts';
import type { LogRow } from './row.ts';
import type { Writer } from './writer.ts';

/** What the way to the collector is made of. */
export interface UplinkOptions {
  readonly writer: Writer;
  readonly parts: DeliveryParts;
  readonly broker: Broker;
  readonly keepAliveSeconds: number;
  /** Without an answer for so long, what no receipt covers is sent again, one segment at a time. */
  readonly stallMs: number;
  /** A stall that lasts for so long ends the uplink; without it none does. */
  readonly giveUpMs?: number;
  /** A log's identity key, where it is held. */
  readonly identityOf: (row: LogRow) => Signer | undefined;
  /** Told how it stands. */
  readonly connection?: Connection;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  /** 0 ≤ r < 1 */
  readonly random: () => number;
}

/** What a connection of it is made of. */
export interface SessionOptions extends UplinkOptions {
  /** For what anybody on the way can make it say. */
  readonly quiet: QuietLog;
}
