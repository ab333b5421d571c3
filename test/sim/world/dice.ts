/** All chance of a simulation, from its seed: the same draws in the same order are the same run. */
import { seeded } from "../../kit/event-clock.node.ts";

export class Dice {
  readonly roll: () => number;

  constructor(seed: number) {
    this.roll = seeded(seed);
  }

  chance(probability: number): boolean {
    return this.roll() < probability;
  }

  /** A whole number of [from, to]. */
  int(from: number, to: number): number {
    return from + Math.floor(this.roll() * (to - from + 1));
  }

  pick<T>(values: readonly T[]): T {
    const value = values[Math.floor(this.roll() * values.length)];
    if (value === undefined) throw new Error("nothing to pick from");
    return value;
  }

  /** One of the names, each as often as its weight says. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const entries = Object.entries(weights) as [T, number][];
    let left = this.roll() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    return this.pick(entries)[0];
  }

  /** Dice of their own, so that one part's draws do not shift another's. */
  fork(): Dice {
    return new Dice(Math.floor(this.roll() * 4_294_967_296));
  }
}
