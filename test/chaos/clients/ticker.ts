/** Pauses a schedule and lets it go on. */
import { Caller, http } from "./caller.ts";

const RETRIES_MAX = 1_000;

export class Ticker extends Caller {
  async run(): Promise<void> {
    while (this.goesOn) {
      await this.pause(1_000 + this.dice.roll() * 4_000);
      for (const { name, isPaused, pauses } of this.scene.schedules) {
        if (!isPaused || !this.goesOn) continue;
        const from = Date.now();
        await this.#say(name, "pause");
        const surelyFrom = Date.now();
        await this.pause(this.dice.roll() * 4_000);
        const surelyTo = Date.now();
        await this.#say(name, "resume");
        pauses.push({ from, to: Date.now(), surelyFrom, surelyTo });
      }
    }
  }

  /** Until it is answered: the same again does no harm. */
  async #say(name: string, verb: "pause" | "resume"): Promise<void> {
    for (let attempt = 0; attempt < RETRIES_MAX; attempt++) {
      const path = `/v1/schedules/${name}/${verb}`;
      const isDone = await http(this.scene, "POST", path, { body: {} }).then(
        () => true,
        () => false,
      );
      if (isDone) return;
      await this.pause(this.dice.roll() * 400);
    }
  }
}
