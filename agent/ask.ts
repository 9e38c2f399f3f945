import { request } from 'node:http';
import * as v from 'valibot';
import { LIVE } from './live.ts';
import type { Known } from './trouble.ts';

const TIMEOUT_MS = 5000;
const MAX_ANSWER_BYTES = 2 ** 20;
const ANSWER = v.object({ live: LIVE });

/** Asks the agent that listens on this socket for what only it knows; says why it did not tell where it did not. */
export function askAgent(socketPath: string): Promise<Known['agent']> {
  if (socketPath === '') return Promise.resolve('not asked');
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: '/v1/status', timeout: TIMEOUT_MS, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
        if (text.length > MAX_ANSWER_BYTES) asked.destroy();
      });
      response.on('end', () => {
        resolve(liveOf(text));
      });
      response.on('close', () => {
        resolve('no answer');
      });
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve('not running');
      else resolve(error.code === 'EACCES' || error.code === 'EPERM' ? 'not asked' : 'no answer');
    });
    asked.end();
  });
}

/** An agent of another version may tell less. */
function liveOf(text: string): Known['agent'] {
  try {
    const answer = v.safeParse(ANSWER, JSON.parse(text));
    return answer.success ? answer.output.live : 'not asked';
  } catch (error) {
    if (error instanceof SyntaxError) return 'no answer';
    throw error;
  }
}
