/** Order of a message group, whatever happens to one of its messages; and that the same message twice is one. */
import { expect } from "vitest";
import {
  bodies,
  type Behaviours,
  drain,
  fail,
  failing,
  LONG_SECONDS,
  ofGroup,
  one,
} from "./behaviour.ts";

const held = () => ({ ordered: true, invisibleSeconds: LONG_SECONDS });

export const order: Behaviours = {
  "a message group keeps its order while one is in flight, and other groups go on": {
    making: held,
    async run(queue) {
      await queue.send(ofGroup("a1"));
      const first = await one(queue);
      await queue.send(...["a2", "b1", "a3"].map(ofGroup));
      expect(bodies(await queue.receive(20))).toEqual(["b1"]);
      expect(await queue.receive(0)).toEqual([]);
      await queue.ack(first.handle);
      expect(bodies(await drain(queue, 2))).toEqual(["a2", "a3"]);
    },
  },

  "a message that fails comes again before what follows it in its group": {
    making: failing({ ordered: true }),
    async run(queue, { has }) {
      await queue.send(ofGroup("a1"));
      const first = await one(queue);
      await queue.send(ofGroup("a2"));
      await fail(queue, has, first);
      const got = await drain(queue, 2);
      expect(got.map(({ body, attempt }) => [body, attempt])).toEqual([
        ["a1", 2],
        ["a2", 1],
      ]);
    },
  },

  "the same deduplication id is the same message": {
    needs: ["deduplication"],
    making: held,
    async run(queue) {
      const twice = { body: "once", messageGroup: "g", dedupId: "d" };
      await queue.send(twice);
      await queue.send(twice);
      expect(bodies(await drain(queue, 1))).toEqual(["once"]);
      expect(await queue.receive(0)).toEqual([]);
    },
  },
};
