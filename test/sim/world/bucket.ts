/**
 * R2, invented: it takes its time, fails as often as calls do, and may have done what it did not answer. What it has outlives
 * every crash, and so does an upload that was on its way when its sender died.
 */
import type { Outcome } from "../../../src/protocol/errors.ts";
import { BODY_UNAVAILABLE, type BodyStore } from "../../../src/bodies/bucket.ts";
import type { BodyFault, BodyRef } from "../../../src/core/record.ts";
import { TestBucket } from "../../kit/bucket.node.ts";
import type { Dice } from "./dice.ts";
import type { Host } from "./host.ts";

export class Bucket implements BodyStore {
  readonly #host: Host;
  readonly #dice: Dice;
  readonly #kept = new TestBucket();

  constructor(host: Host, dice: Dice) {
    this.#host = host;
    this.#dice = dice;
  }

  /** Names of everything that is there. */
  get names(): ReadonlySet<string> {
    return new Set(this.#kept.objects.keys());
  }

  newKey(): Uint8Array {
    return this.#kept.newKey();
  }

  async put(key: Uint8Array, body: Uint8Array): Promise<Outcome<BodyRef>> {
    return (await this.#call(() => this.#kept.put(key, body))) ?? BODY_UNAVAILABLE;
  }

  async get(ref: BodyRef): Promise<Uint8Array | BodyFault> {
    return (await this.#call(() => this.#kept.get(ref))) ?? "body_unavailable";
  }

  async delete(keys: readonly Uint8Array[]): Promise<boolean> {
    return (await this.#call(() => this.#kept.delete(keys))) ?? false;
  }

  /** Undefined: nobody knows whether it was done. */
  async #call<T>(verb: () => Promise<T>): Promise<T | undefined> {
    const { clock, faults } = this.#host;
    await clock.pause(this.#dice.roll() * faults.hopMsMax * 4);
    if (this.#dice.chance(faults.lostCalls)) return undefined;
    const answer = await verb();
    return this.#dice.chance(faults.lostAnswers) ? undefined : answer;
  }
}
