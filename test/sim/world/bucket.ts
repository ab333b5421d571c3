/**
 * R2, invented: it takes its time, fails as often as calls do, and may have done what it did not answer. What it has outlives
 * every crash, and so does an upload that was on its way when its sender died.
 */
import type { Outcome } from "../../../src/protocol/errors.ts";
import { BODY_UNAVAILABLE, type BodyStore } from "../../../src/bodies/bucket.ts";
import type { BodyFault, BodyRef } from "../../../src/core/record.ts";
import { named, TestBucket } from "../../kit/bucket.node.ts";
import type { Uploaded } from "../history.ts";
import type { Dice } from "./dice.ts";
import type { Host } from "./host.ts";

export class Bucket implements BodyStore {
  readonly #host: Host;
  readonly #dice: Dice;
  readonly #kept = new TestBucket();
  /** By key, also those that never came. */
  readonly #uploads = new Map<string, { -readonly [K in keyof Uploaded]: Uploaded[K] }>();

  constructor(host: Host, dice: Dice) {
    this.#host = host;
    this.#dice = dice;
  }

  /** Everything that is there. */
  get objects(): Uploaded[] {
    return [...this.#kept.objects.keys()].flatMap((key) => this.#uploads.get(key) ?? []);
  }

  newKey(): Uint8Array {
    const key = this.#kept.newKey();
    const namedAt = this.#host.clock.nowMs();
    const upload = { namedAt, namedWall: namedAt + this.#host.skewMs, landedAt: Infinity };
    this.#uploads.set(named(key), { key: named(key), ...upload });
    return key;
  }

  async put(key: Uint8Array, body: Uint8Array): Promise<Outcome<BodyRef>> {
    const put = (): Promise<Outcome<BodyRef>> => {
      const upload = this.#uploads.get(named(key));
      if (upload !== undefined) upload.landedAt = this.#host.clock.nowMs();
      return this.#kept.put(key, body);
    };
    return (await this.#call(put)) ?? BODY_UNAVAILABLE;
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
