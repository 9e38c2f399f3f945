/** What the gateway's broker tells the demo. */
export type BrokerReport =
  | { readonly kind: 'listening'; readonly port: number }
  /** PUBACK of the agent; the payload in base64. */
  | { readonly kind: 'acknowledged'; readonly topic: string; readonly payload: string };
