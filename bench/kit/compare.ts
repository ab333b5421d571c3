/**
 * One comparison: contenders that do the same job in turn, round after round, so that what the machine does meanwhile
 * strikes all of them. A ratio is taken within a round; the medians over the rounds are the result.
 */
import type { Measured } from "./load.ts";
import { median } from "./numbers.ts";

export interface Contender {
  readonly name: string;
  /** One round of it, alone on the machine. */
  readonly measure: () => Promise<Measured>;
  /** The measured one, the first contender, must reach so much of this one's speed. */
  readonly atLeast?: number;
}

/** What one contender came to. */
export interface Line {
  readonly name: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly processorUs: number;
  /** The first contender's speed in this one's, in the same round. */
  readonly ratio: number;
  readonly atLeast?: number;
  readonly rounds: readonly Measured[];
}

export async function compare(
  contenders: readonly Contender[],
  rounds: number,
): Promise<readonly Line[]> {
  const measured: Measured[][] = contenders.map(() => []);
  for (let round = 0; round < rounds; round++) {
    // Every other round the other way about, so that nobody always follows the same neighbour.
    const order = [...contenders.keys()];
    if (round % 2 === 1) order.reverse();
    for (const index of order) {
      const found = await contenders[index]?.measure();
      if (found !== undefined) measured[index]?.push(found);
    }
  }
  return contenders.map(({ name, atLeast }, index) => {
    const mine = measured[index] ?? [];
    const ratios = mine.map(
      (found, round) => (measured[0]?.[round]?.perSecond ?? Number.NaN) / found.perSecond,
    );
    return {
      name,
      perSecond: median(mine.map(({ perSecond }) => perSecond)),
      p50Ms: median(mine.map(({ p50Ms }) => p50Ms)),
      p99Ms: median(mine.map(({ p99Ms }) => p99Ms)),
      processorUs: median(mine.map(({ processorUs }) => processorUs)),
      ratio: median(ratios),
      ...(atLeast === undefined ? {} : { atLeast }),
      rounds: mine,
    };
  });
}
