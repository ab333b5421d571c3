/** What counts against a socket's credit when the gateway may have lost its memory: S4 is told of nothing that this explains. */
import { expect, test } from "vitest";
import { checkCredits } from "./checker/credits.ts";
import { Story } from "./checker/story.ts";
import type { Answer, Event, Request } from "./history.ts";

const AT = { topic: "t", group: "g" } as const;
const LEASE_MS = 100;

/** One socket with a credit of two. */
class Line {
  readonly #events: Event[] = [];
  #op = 0;
  #wall = 1_000;

  #ask(request: Request, answer: Answer): void {
    const [op, times] = [this.#op++, { at: this.#wall, wall: this.#wall }];
    this.#events.push({ ...times, is: "invoke", op, client: "c", request });
    this.#events.push({ ...times, is: "ok", op, answer });
  }

  give(...receipts: string[]): void {
    const deliveries = receipts.map((receipt, offset) => ({
      mark: receipt,
      isIntact: true,
      id: receipt,
      queue: 0,
      offset,
      storedAt: 0,
      deliveryAttempt: 1,
      receipt,
      invisibleUntil: this.#wall + LEASE_MS,
    }));
    const socket = { id: 7, credit: 2 };
    this.#ask(
      { is: "receive", ...AT, invisibleMs: LEASE_MS, maxMessages: 2, isLine: true, socket },
      { is: "received", deliveries },
    );
  }

  extend(receipt: string, byMs: number): void {
    const results = [{ receipt, ok: true, invisibleUntil: this.#wall + byMs }];
    const request = { is: "settle", ...AT, verb: "extend", receipts: [receipt] } as const;
    this.#ask(request, { is: "settled", results });
  }

  pass(ms: number): void {
    this.#wall += ms;
  }

  get broken(): string[] {
    const rest = { topics: [], bucket: [], answered: [], isDrained: true };
    const story = new Story({ seed: 1, isCalm: false, groups: [], events: this.#events, rest });
    const broken: string[] = [];
    checkCredits(story, (invariant) => void broken.push(invariant));
    return broken;
  }
}

test("[S4] a third message is one too many", () => {
  const line = new Line();
  line.give("a", "b");
  line.give("c");
  expect(line.broken).toEqual(["S4"]);
});

test("[S4] a lease that is prolonged while it lives makes no room", () => {
  const line = new Line();
  line.give("a", "b");
  line.pass(LEASE_MS / 2);
  line.extend("a", LEASE_MS);
  line.give("c");
  expect(line.broken).toEqual(["S4"]);
});

test("[S4] what is prolonged after its end may count for one whose name the gateway has lost", () => {
  const line = new Line();
  line.give("a");
  line.pass(LEASE_MS);
  line.give("b", "c");
  line.extend("a", 10);
  line.pass(20);
  line.give("d");
  expect(line.broken).toEqual([]);
});
