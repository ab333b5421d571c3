/**
 * The same behaviours through every door: what a program may rely on whichever protocol it speaks. A door says what it can; for
 * what it cannot it gives the reason, which the suite asks for, and shows in the names of its tests. It knows no protocol.
 */
import { describe, expect, test } from "vitest";
import { sorted, until } from "../conformance/kit.ts";

export interface Sending {
  readonly body: string;
  readonly properties?: Readonly<Record<string, string>>;
  readonly messageGroup?: string;
  readonly dedupId?: string;
  readonly delaySeconds?: number;
}

export interface Got {
  readonly body: string;
  readonly properties: Readonly<Record<string, string>>;
  /** From 1. */
  readonly attempt: number;
  /** Whatever the door acks by. */
  readonly handle: string;
}

/** One topic and one group of consumers, as a door shows them. */
export interface Through {
  send(...messages: readonly Sending[]): Promise<void>;
  /** Up to ten, waiting so long for the first. */
  receive(waitSeconds?: number): Promise<readonly Got[]>;
  ack(...handles: readonly string[]): Promise<void>;
  /** Visible again at once. */
  giveBack(handle: string): Promise<void>;
  extend(handle: string, seconds: number): Promise<void>;
  purge(): Promise<void>;
  /** Bodies of what ran out of attempts. */
  deadLetters(): Promise<readonly string[]>;
  /** All of them, back to the consumers. */
  redrive(): Promise<void>;
  /** Half messages, which its result commits or rolls back. */
  prepare(body: string): Promise<{ commit(): Promise<void>; rollback(): Promise<void> }>;
  /** A delayed message that is taken back by `recall`. */
  sendLater(body: string): Promise<{ recall(): Promise<void> }>;
  /** Messages of these tags only, from now on. */
  filter(tag: string): Promise<void>;
}

export interface Making {
  /** Message groups in order, deduplication ids. */
  readonly ordered?: boolean;
  readonly maxAttempts?: number;
  readonly invisibleSeconds?: number;
}

type Capability =
  | "dead letters"
  | "deduplication"
  | "delay"
  | "filters"
  | "order"
  | "purge"
  | "recall"
  | "redrive"
  | "transactions";

/** True, or why not. */
export type Capabilities = Readonly<Record<Capability, true | string>>;

interface Behaviour {
  readonly needs?: Capability;
  readonly making?: Making;
  readonly run: (queue: Through) => Promise<void>;
}

const bodies = (messages: readonly Got[]): string[] => messages.map(({ body }) => body);
const handles = (messages: readonly Got[]): string[] => messages.map(({ handle }) => handle);

/** Its first letter is its message group. */
const ofGroup = (body: string): Sending => ({
  body,
  messageGroup: body.slice(0, 1),
  dedupId: body,
});

async function one(queue: Through): Promise<Got> {
  const [message] = await queue.receive(20);
  if (message === undefined) throw new Error("nothing was received");
  return message;
}

const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  "what is sent is received, and after its ack never again": {
    making: { invisibleSeconds: 1 },
    async run(queue) {
      await queue.send({ body: "a" });
      const got = await one(queue);
      expect(got).toMatchObject({ body: "a", attempt: 1 });
      await queue.ack(got.handle);
      expect(await queue.receive(2)).toEqual([]);
    },
  },

  "texts of any kind arrive as they were sent, with their properties": {
    async run(queue) {
      const body = 'ünïcödé 🎈 "quotes" \\ <xml/> &amp;\r\n\tand {"json": [1]}';
      await queue.send({ body, properties: { colour: "blue", "a.b-c_d": "1" } });
      const got = await one(queue);
      expect(got.body).toBe(body);
      expect(got.properties).toEqual({ colour: "blue", "a.b-c_d": "1" });
    },
  },

  "a batch arrives whole, each message once, whoever asks": {
    async run(queue) {
      const sent = Array.from({ length: 10 }, (_, at) => ({ body: `m${at}` }));
      await queue.send(...sent);
      const seen: string[] = [];
      const consume = async (): Promise<void> => {
        while (seen.length < sent.length) {
          const got = await queue.receive(1);
          seen.push(...bodies(got));
          if (got.length > 0) await queue.ack(...handles(got));
        }
      };
      await Promise.all([consume(), consume(), consume()]);
      expect(sorted(seen)).toEqual(sorted(sent.map(({ body }) => body)));
    },
  },

  "a receive that waits ends with the message that comes": {
    async run(queue) {
      const waiting = queue.receive(20);
      await queue.send({ body: "at last" });
      expect(bodies(await waiting)).toEqual(["at last"]);
    },
  },

  "what somebody holds nobody else gets; given back it comes at once, counted": {
    making: { invisibleSeconds: 600 },
    async run(queue) {
      await queue.send({ body: "held" });
      const first = await one(queue);
      expect(await queue.receive(0)).toEqual([]);
      await queue.giveBack(first.handle);
      expect(await one(queue)).toMatchObject({ body: "held", attempt: 2 });
    },
  },

  "a lease that runs out gives the message to the next, whom the first cannot ack away": {
    making: { invisibleSeconds: 1 },
    async run(queue) {
      await queue.send({ body: "slow" });
      const first = await one(queue);
      const second = await one(queue);
      expect(second).toMatchObject({ body: "slow", attempt: 2 });
      await queue.ack(first.handle).catch(() => undefined);
      expect(await one(queue)).toMatchObject({ body: "slow", attempt: 3 });
    },
  },

  "a lease that is made longer holds": {
    making: { invisibleSeconds: 1 },
    async run(queue) {
      await queue.send({ body: "long" });
      const first = await one(queue);
      await queue.extend(first.handle, 600);
      expect(await queue.receive(2)).toEqual([]);
      await queue.ack(first.handle);
    },
  },

  "a delayed message comes after its delay, and not before": {
    needs: "delay",
    async run(queue) {
      await queue.send({ body: "later", delaySeconds: 2 });
      await queue.send({ body: "now" });
      expect(bodies(await queue.receive(20))).toEqual(["now"]);
      expect((await one(queue)).body).toBe("later");
    },
  },

  "a message group keeps its order while one is in flight, and other groups go on": {
    needs: "order",
    making: { ordered: true, invisibleSeconds: 600 },
    async run(queue) {
      await queue.send(ofGroup("a1"));
      const first = await one(queue);
      await queue.send(...["a2", "b1", "a3"].map(ofGroup));
      expect(bodies(await queue.receive(20))).toEqual(["b1"]);
      expect(await queue.receive(0)).toEqual([]);
      await queue.ack(first.handle);
      expect(bodies(await queue.receive(20))).toEqual(["a2", "a3"]);
    },
  },

  "the same deduplication id is the same message": {
    needs: "deduplication",
    making: { ordered: true },
    async run(queue) {
      const twice = { body: "once", messageGroup: "g", dedupId: "d" };
      await queue.send(twice);
      await queue.send(twice);
      const got = await queue.receive(20);
      expect(bodies(got)).toEqual(["once"]);
      await queue.ack(...handles(got));
      expect(await queue.receive(0)).toEqual([]);
    },
  },

  "what fails too often is a dead letter, and its consumers are rid of it": {
    needs: "dead letters",
    making: { maxAttempts: 2, invisibleSeconds: 600 },
    async run(queue) {
      await queue.send({ body: "poison" });
      for (let attempt = 1; attempt <= 2; attempt++) {
        const got = await one(queue);
        expect(got.attempt).toBe(attempt);
        await queue.giveBack(got.handle);
      }
      expect(await queue.receive(0)).toEqual([]);
      await until("it is a dead letter", async () => {
        const letters = await queue.deadLetters();
        return letters.length === 1 && letters[0] === "poison";
      });
    },
  },

  "a redrive brings dead letters back, as if they had never failed": {
    needs: "redrive",
    making: { maxAttempts: 1, invisibleSeconds: 600 },
    async run(queue) {
      await queue.send({ body: "again" });
      await queue.giveBack((await one(queue)).handle);
      await queue.redrive();
      expect(await one(queue)).toMatchObject({ body: "again", attempt: 1 });
      expect(await queue.deadLetters()).toEqual([]);
    },
  },

  "a purge leaves nothing that was there": {
    needs: "purge",
    async run(queue) {
      await queue.send({ body: "a" }, { body: "b" });
      await queue.purge();
      expect(await queue.receive(0)).toEqual([]);
      await queue.send({ body: "after" });
      expect(bodies(await queue.receive(20))).toEqual(["after"]);
    },
  },

  "a half message is seen after its commit, and never after a rollback": {
    needs: "transactions",
    async run(queue) {
      const committed = await queue.prepare("committed");
      const rolledBack = await queue.prepare("rolled back");
      expect(await queue.receive(0)).toEqual([]);
      await rolledBack.rollback();
      await committed.commit();
      expect(bodies(await queue.receive(20))).toEqual(["committed"]);
    },
  },

  "a delayed message that is recalled never comes": {
    needs: "recall",
    async run(queue) {
      const later = await queue.sendLater("recalled");
      await later.recall();
      expect(await queue.receive(3)).toEqual([]);
    },
  },

  "a filter passes over what is not wanted": {
    needs: "filters",
    async run(queue) {
      await queue.filter("wanted");
      await queue.send({ body: "other" });
      expect(await queue.receive(1)).toEqual([]);
    },
  },
};

/** Registers every behaviour that the door has, and the reason for each that it has not. */
export function brokerSuite(
  name: string,
  make: (making: Making) => Promise<Through>,
  capabilities: Capabilities,
): void {
  describe(name, () => {
    for (const [what, { needs, making = {}, run }] of Object.entries(BEHAVIOURS)) {
      const can = needs === undefined ? true : capabilities[needs];
      if (can === true) test(what, async () => run(await make(making)));
    }
    for (const [what, reason] of Object.entries(capabilities)) {
      if (reason === true) continue;
      test(`has no ${what}: ${reason}`, () => {
        expect(reason.trim().split(" ").length, "a reason is a sentence").toBeGreaterThan(3);
      });
    }
  });
}
