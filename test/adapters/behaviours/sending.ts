/** From a send to its ack: once, to one consumer, in time. */
import { expect } from "vitest";
import { sorted } from "../../conformance/kit.ts";
import {
  bodies,
  type Behaviours,
  drain,
  LONG_SECONDS,
  one,
  PATIENCE_SECONDS,
} from "./behaviour.ts";

export const sending: Behaviours = {
  "what is sent is received, and after its ack never again": {
    making: () => ({ invisibleSeconds: 3 }),
    async run(queue) {
      await queue.send({ body: "a" });
      const got = await one(queue);
      expect(got).toMatchObject({ body: "a", attempt: 1 });
      expect(await queue.ack(got.handle)).toEqual([]);
      expect(await queue.receive(4)).toEqual([]);
    },
  },

  "a batch arrives whole, each message once, whoever asks": {
    async run(queue) {
      const sent = Array.from({ length: 10 }, (_, at) => ({ body: `m${at}` }));
      await queue.send(...sent);
      const seen: (string | Uint8Array)[] = [];
      const consume = async (): Promise<void> => {
        while (seen.length < sent.length) {
          const got = await queue.receive(1);
          seen.push(...bodies(got));
          if (got.length > 0) await queue.ack(...got.map(({ handle }) => handle));
        }
      };
      await Promise.all([consume(), consume(), consume()]);
      expect(sorted(seen)).toEqual(sorted(sent.map(({ body }) => body)));
    },
  },

  "of a batch with a message that is refused exactly that is stored which is said to be": {
    needs: ["batches"],
    async run(queue) {
      const batch = [{ body: "first" }, queue.refused, { body: "last" }];
      const stored = await queue.sendBatch(...batch);
      expect(stored[1]).toBe(false);
      await queue.send({ body: "after" });
      const expected = [...batch.filter((_, at) => stored[at]).map(({ body }) => body), "after"];
      expect(sorted(bodies(await drain(queue, expected.length)))).toEqual(sorted(expected));
      expect(await queue.receive(0)).toEqual([]);
    },
  },

  "a receive that waits ends with the message that comes": {
    async run(queue) {
      const startedAt = Date.now();
      const waiting = queue.receive(PATIENCE_SECONDS);
      // Whoever asks behind it is answered: so it waits already.
      expect(await queue.receive(0)).toEqual([]);
      await queue.send({ body: "at last" });
      expect(bodies(await waiting)).toEqual(["at last"]);
      expect(Date.now() - startedAt).toBeLessThan(PATIENCE_SECONDS * 1_000);
    },
  },

  "a receive that finds nothing ends with nothing, and waits as long as it was told": {
    needs: ["polls"],
    async run(queue) {
      expect(await queue.receive(0)).toEqual([]);
      const startedAt = Date.now();
      expect(await queue.receive(1)).toEqual([]);
      // Timers are as exact as a millisecond.
      expect(Date.now() - startedAt).toBeGreaterThanOrEqual(995);
    },
  },

  "who goes away in a wait takes no message along, and no attempt": {
    needs: ["polls"],
    making: () => ({ invisibleSeconds: LONG_SECONDS }),
    async run(queue) {
      await queue.leave();
      await queue.send({ body: "for who is there" });
      expect(await one(queue)).toMatchObject({ body: "for who is there", attempt: 1 });
    },
  },

  "two queues know nothing of each other": {
    async run(queue, { another }) {
      const other = await another();
      await queue.send({ body: "here" });
      expect(await other.receive(0)).toEqual([]);
      await other.send({ body: "there" });
      expect(bodies(await drain(other, 1))).toEqual(["there"]);
      expect(bodies(await drain(queue, 1))).toEqual(["here"]);
    },
  },

  "each group of consumers gets every message, and acks for itself": {
    needs: ["groups"],
    async run(queue) {
      await queue.send({ body: "a" }, { body: "b" });
      const other = await queue.anotherGroup();
      expect(sorted(bodies(await drain(queue, 2)))).toEqual(sorted(["a", "b"]));
      expect(sorted(bodies(await drain(other, 2)))).toEqual(sorted(["a", "b"]));
      expect(await queue.receive(0)).toEqual([]);
    },
  },
};
