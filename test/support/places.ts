import { readHistory, writeAgent, writeCollector, writeExport, type History } from './forgery.ts';
import { newScene, type Programs, type Ran } from './scene.ts';

/** What was found where a false history of pump-7 stands. */
export interface Place {
  readonly name: string;
  /** The program that keeps it looks at it; nobody keeps an export. */
  readonly verify?: Ran;
  /** An auditor who holds nothing but the fleet's public keys, on what comes out of it. */
  readonly replay: Ran;
}

/**
 * Puts what `forge` makes of the history of pump-7 into the gateway's store, the collector's store and an export that has no receipts.
 * `forge` gets six epochs from the gateway (the last one is not sealed) and four from the others.
 */
export function inEveryPlace(programs: Programs, forge: (history: History) => History): Place[] {
  const { pump, site, replay } = newScene(programs);
  const exported = writeExport(forge(site.db((db) => readHistory(db))));
  pump.db((db) => {
    writeAgent(db, forge(readHistory(db)));
  });
  site.db((db) => {
    writeCollector(db, forge(readHistory(db)));
  });
  return [
    { name: 'gateway', verify: pump.verify(), replay: replay(pump.export()) },
    { name: 'collector', verify: site.verify(), replay: replay(site.export(pump.origin)) },
    { name: 'export', replay: replay(exported) },
  ];
}

/** Exit codes of {@link inEveryPlace}, `verify` first. */
export function codesOf(places: readonly Place[]): Record<string, (number | null)[]> {
  return Object.fromEntries(
    places.map(({ name, verify, replay }) => [name, verify === undefined ? [replay.code] : [verify.code, replay.code]]),
  );
}

/** Every program that looks says that it was tampered with. */
export const CAUGHT = { gateway: [3, 3], collector: [3, 3], export: [3] };
