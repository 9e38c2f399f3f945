/** A payload as results show it: as text where it is UTF-8, else in base64; neither where it is not here. */
export interface PayloadText {
  readonly payload: string | null;
  readonly payload_base64: string | null;
}

export function payloadText(bytes: Uint8Array | null): PayloadText {
  if (bytes === null) return { payload: null, payload_base64: null };
  try {
    return { payload: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), payload_base64: null };
  } catch {
    return { payload: null, payload_base64: Buffer.from(bytes).toString('base64') };
  }
}
