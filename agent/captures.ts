import { EXIT, Failure } from '../program/failure.ts';
import type { Logger } from 'pino';
import type { Suite } from '../tlog/suite.ts';
import type { Capture, CaptureParts, Captures } from './capture.ts';
import { HttpCapture } from './capture-http.ts';
import { MqttCapture } from './capture-mqtt.ts';
import type { Clock } from './clock.ts';
import type { AgentConfig } from './config.ts';
import { readCredentials } from '../program/credentials.ts';
import { QuietLog } from '../program/quiet-log.ts';
import { Group } from './group.ts';
import type { Pulse } from './live.ts';
import type { Appended, Message } from './log.ts';
import type { Writer } from './writer.ts';

export interface CapturesOptions {
  readonly suite: Suite;
  readonly config: AgentConfig;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pulse: Pulse;
  /** What `GET /v1/status` answers. */
  readonly status: () => unknown;
  readonly nowMs: () => number;
  /** 0 ≤ r < 1 */
  readonly random: () => number;
}

/** Starts to hear what is configured. `onFatal` is told of what nobody can go on after; `Failure` where one can't be started. */
export async function startCaptures(options: CapturesOptions, onFatal: (error: unknown) => void): Promise<Captures> {
  const { suite, config, writer, clock, logger, pulse, status, nowMs, random } = options;
  const { commit, capture, mqtt, http, runtime } = config;
  const group = new Group({
    append: appendTo(writer, logger, onFatal),
    maxEntries: commit.max_entries,
    maxDelayMs: commit.max_delay_ms,
  });
  const parts: CaptureParts = {
    suite,
    group,
    read: () => clock.read(),
    maxPayloadBytes: capture.max_payload_bytes,
    logger,
  };
  const credentials = readCredentials('mqtt', mqtt);
  const captures: Capture[] = [];
  if (runtime.socket !== '' || http.tcp_port !== 0) {
    captures.push(
      await HttpCapture.start({
        ...parts,
        source: http.source,
        socket: runtime.socket,
        mode: parseInt(http.socket_mode, 8),
        tcpPort: http.tcp_port,
        maxBodyBytes: http.max_body_bytes,
        origin: () => writer.row.origin,
        status,
      }),
    );
  }
  if (mqtt.url !== '') {
    const { url, filters } = mqtt;
    const quiet = new QuietLog(logger, nowMs);
    const clientId = mqtt.client_id === '' ? `tallystick-${config.device.name}` : mqtt.client_id;
    captures.push(
      new MqttCapture({
        ...parts,
        source: { name: mqtt.source, url, filters, clientId, keepAliveSeconds: mqtt.keep_alive_s, ...credentials },
        commitDelayMs: commit.max_delay_ms,
        nowMs,
        random,
        connection: pulse.mqtt,
        quiet,
        onRefused: (reason) => {
          pulse.refuse(reason);
          quiet.write('error', 'refused', { reason }, 'mqtt: a message was refused');
        },
      }),
    );
  }
  return { all: captures, oldest: () => group.oldest };
}

/** Where there is no room, producers are told and try again; after anything else the agent ends, and says why. */
function appendTo(writer: Writer, logger: Logger, onFatal: (error: unknown) => void): (messages: readonly Message[]) => Appended {
  let isRefusing = false;
  return (messages) => {
    try {
      const appended = writer.append(messages);
      if (isRefusing) logger.info('store: messages are recorded again');
      isRefusing = false;
      return appended;
    } catch (error) {
      if (!(error instanceof Failure) || error.exitCode !== EXIT.tryLater) onFatal(error);
      else if (!isRefusing)
        logger.error({ reason: error.message }, 'store: messages are refused; they stay with those who sent them');
      isRefusing = true;
      throw error;
    }
  };
}
