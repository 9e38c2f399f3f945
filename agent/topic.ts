/**
 * The topic of who can be told what is wrong with it: one that could be published (MQTT 5 §4.7), so that a filter names what it seems
 * to. Throws an Error. Its length is the entry's affair: what has no room there is folded. Not of a CloudEvent, whose subject may be
 * anything.
 */
export function checkTopic(topic: string): void {
  if (topic === '') throw new Error('topic: expected one, got an empty one');
  if (/[+#\0]/.test(topic)) {
    throw new Error(
      `topic: expected one that could be published, without "+", "#" and NUL, got ${JSON.stringify(topic.slice(0, 60))}`,
    );
  }
}
