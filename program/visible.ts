/** Text that somebody else wrote, for one line of a terminal: what would move the cursor, hide text or begin a line is escaped. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** The same for lines of our own: only they end where they end. JSON stays the JSON that it is, as such characters stand in strings only. */
export function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n');
}
