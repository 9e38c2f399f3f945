/** Whether it is an MQTT topic filter (MQTT 5 §4.7): `+` for one whole level, `#` for all that follow, only at the end. */
export function isTopicFilter(word: string): boolean {
  if (word === '' || word.includes('\0') || new TextEncoder().encode(word).length > 65_535) return false;
  const levels = word.split('/');
  return levels.every((level, i) => level === '+' || (level === '#' && i === levels.length - 1) || !/[+#]/.test(level));
}

/** Whether a topic filter takes a topic. `#` takes the level above it too; neither wildcard takes a first level that begins with `$`. */
export function topicMatcher(filter: string): (topic: string) => boolean {
  const wanted = filter.split('/');
  const isOpen = wanted.at(-1) === '#';
  const named = isOpen ? wanted.slice(0, -1) : wanted;
  const isWild = wanted[0] === '+' || wanted[0] === '#';
  return (topic) => {
    if (isWild && topic.startsWith('$')) return false;
    const levels = topic.split('/');
    if (isOpen ? levels.length < named.length : levels.length !== named.length) return false;
    return named.every((level, i) => level === '+' || level === levels[i]);
  };
}
