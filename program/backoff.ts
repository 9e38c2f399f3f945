/** Milliseconds to wait after so many failures in a row: full jitter, so that many who lost one server do not return together. */
export function backoffMs(
  failures: number,
  limits: { readonly firstMs: number; readonly maxMs: number },
  random: () => number,
): number {
  return random() * Math.min(limits.maxMs, limits.firstMs * 2 ** Math.max(0, failures - 1));
}

/** Resolves after the time, or at the signal. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end);
  });
}
