/**
 * A producer that counts, by the published client: it completes what it does not know the end of, begins a new epoch now and
 * then, and lets the old one try once more.
 */
import { type CountingProducer, isHalfmqError } from "../../../src/client/index.ts";
import type { SentMessage } from "../../sim/history.ts";
import type { Dice } from "../../sim/world/dice.ts";
import type { Scene } from "../scene.ts";
import { Caller, clientOf } from "./caller.ts";

/** Until it knows: only then may it go on. */
const RETRIES_MAX = 1_000;
/** The empty one is none. */
const GROUPS = ["n0", "n1", ""] as const;

interface Life {
  readonly counting: CountingProducer;
  /** The last number of each message group. */
  readonly counts: Map<string | undefined, number>;
}

export class Counter extends Caller {
  readonly #topic: string;
  #epoch = 0;

  constructor(name: string, scene: Scene, dice: Dice) {
    super(name, scene, dice);
    this.#topic = dice.pick(["t0", "t1"]);
  }

  async run(): Promise<void> {
    let life = this.#begin();
    while (this.goesOn) {
      const messageGroup = this.dice.pick(GROUPS) || undefined;
      await this.#send(life, messageGroup, this.dice.int(1, 4));
      if (life.counting.unsettled) return;
      if (this.dice.chance(0.05)) {
        const old = life;
        life = this.#begin();
        await this.#send(life, messageGroup, 1);
        if (life.counting.unsettled) return;
        await this.#send(old, messageGroup, 1);
      }
      await this.pause(this.dice.roll() ** 2 * 10 * this.scene.plan.restMsMax);
    }
  }

  #begin(): Life {
    const epoch = ++this.#epoch;
    const counting = clientOf(this.scene).counting(this.#topic, { id: this.name, epoch });
    return { counting, counts: new Map() };
  }

  async #send(
    { counting, counts }: Life,
    messageGroup: string | undefined,
    count: number,
  ): Promise<void> {
    const last = counts.get(messageGroup) ?? 0;
    const { id, epoch } = counting;
    const messages = Array.from({ length: count }, (_, index): SentMessage => ({
      mark: this.fresh(),
      topic: this.#topic,
      tag: this.dice.pick(["a", "b"]),
      ...(messageGroup === undefined ? {} : { messageGroup }),
      producer: { id, epoch, sequence: last + index + 1 },
    }));
    const wire = messages.map((message) => this.wire(message));
    const sent = await this.ask({
      request: { is: "send", topic: this.#topic, messages, keyed: true },
      run: async () => {
        try {
          return counting.unsettled ? await counting.settle() : await counting.send(wire);
        } catch (error) {
          const isCounted = isHalfmqError(error, "sequence_gap", "producer_fenced");
          if (isCounted && epoch === this.#epoch)
            this.scene.errors.push(`${id} of epoch ${epoch} is refused: ${String(error)}`);
          throw error;
        }
      },
      answer: (placed) => ({ is: "sent", placed }),
      retries: RETRIES_MAX,
    });
    if (sent !== undefined) counts.set(messageGroup, last + count);
  }
}
