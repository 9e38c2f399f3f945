import { alternate, timed, type Run } from './alternate.ts';
import { inFolder } from './folder.ts';
import { groupsOf, type Heard } from './messages.ts';
import type { Side } from './side.ts';
import { count, formatRatio, verdict, type Line } from './table.ts';

export interface AppendPlan {
  readonly measure: string;
  readonly group: number;
  /** Messages a run. */
  readonly messages: number;
  readonly atLeast: number;
}

/** Appends in groups, on both sides the same messages, each run in a new folder. Opening and closing is not measured. */
export async function measureAppend(
  { measure, group, messages, atLeast }: AppendPlan,
  heard: readonly Heard[],
  times: number,
  ours: Side,
  baseline: Side,
): Promise<Line> {
  const groups = [...groupsOf(heard, group, messages)];
  const run =
    (side: Side): Run =>
    () =>
      inFolder(async (folder) => {
        const opened = await side.open(folder);
        const ms = await timed(async () => {
          for (const one of groups) await opened.append(one);
        });
        await opened.close();
        return (groups.length * group * 1000) / ms;
      });
  // Once unmeasured: code is compiled while it runs.
  await alternate(1, run(ours), run(baseline));
  const found = await alternate(times, run(ours), run(baseline));
  return {
    measure,
    ours: `${count(found.ours)}/s`,
    baseline: `${baseline.name}: ${count(found.baseline)}/s`,
    ratio: formatRatio(found),
    must: `≥ ${atLeast.toFixed(2)} ×`,
    verdict: verdict(found.ratio >= atLeast),
  };
}
