/**
 * The topic that somebody types: one that could be published (MQTT 5 §4.7), as another is a slip (a variable of a script that is not set,
 * a filter) which nobody could mend in the log. Throws an Error. What machines send is recorded whatever its topic is.
 */
export function checkTopic(topic: string): void {
  if (topic === '') throw new Error('topic: expected one, got an empty one');
  if (/[+#\0]/.test(topic)) {
    throw new Error(
      `topic: expected one that could be published, without "+", "#" and NUL, got ${JSON.stringify(topic.slice(0, 60))}`,
    );
  }
}
