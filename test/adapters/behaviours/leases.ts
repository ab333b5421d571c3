/** Who has a message has it alone, until the lease ends; after that the handle is worth nothing. */
import { expect } from "vitest";
import { bodies, type Behaviours, LONG_SECONDS, one, SHORT_SECONDS } from "./behaviour.ts";

const short = () => ({ invisibleSeconds: SHORT_SECONDS });
/** To be met in time on a busy machine. */
const met = () => ({ invisibleSeconds: 3 });
const long = () => ({ invisibleSeconds: LONG_SECONDS });

export const leases: Behaviours = {
  "what somebody holds nobody else gets": {
    making: long,
    async run(queue) {
      await queue.send({ body: "held" });
      const got = await one(queue);
      expect(await queue.receive(1)).toEqual([]);
      expect(await queue.ack(got.handle)).toEqual([]);
    },
  },

  "what is given back comes again at once, the same message, counted": {
    needs: ["giving back"],
    making: long,
    async run(queue) {
      await queue.send({ body: "back" });
      const first = await one(queue);
      await queue.giveBack(first.handle);
      expect(await one(queue)).toMatchObject({ id: first.id, body: "back", attempt: 2 });
    },
  },

  "a lease that runs out gives the message to the next, whom the first cannot ack away": {
    making: short,
    async run(queue) {
      await queue.send({ body: "slow" });
      const first = await one(queue);
      const second = await one(queue);
      expect(second).toMatchObject({ id: first.id, body: "slow", attempt: 2 });
      await queue.ack(first.handle).catch(() => undefined);
      expect(await one(queue)).toMatchObject({ id: first.id, body: "slow", attempt: 3 });
    },
  },

  "who lost the lease gives back nothing of the one who has it": {
    needs: ["extension", "giving back"],
    making: met,
    async run(queue) {
      await queue.send({ body: "mine" });
      const first = await one(queue);
      const second = await one(queue);
      await queue.extend(second.handle, LONG_SECONDS);
      await queue.giveBack(first.handle).catch(() => undefined);
      expect(await queue.receive(1)).toEqual([]);
    },
  },

  "a lease that is made longer holds": {
    needs: ["extension"],
    making: met,
    async run(queue) {
      await queue.send({ body: "long" });
      const first = await one(queue);
      await queue.extend(first.handle, LONG_SECONDS);
      expect(await queue.receive(4)).toEqual([]);
      expect(await queue.ack(first.handle)).toEqual([]);
    },
  },

  "an ack may be repeated": {
    needs: ["answers for many"],
    making: long,
    async run(queue) {
      await queue.send({ body: "twice" });
      const { handle } = await one(queue);
      expect(await queue.ack(handle)).toEqual([]);
      expect(await queue.ack(handle)).toEqual([]);
    },
  },

  "an ack of several says which handle is none, and does the rest": {
    needs: ["answers for many"],
    making: met,
    async run(queue) {
      await queue.send({ body: "done" });
      const { handle } = await one(queue);
      expect(await queue.ack("no-handle", handle)).toEqual(["no-handle"]);
      await queue.send({ body: "next" });
      expect(bodies(await queue.receive(20))).toEqual(["next"]);
      expect(await queue.receive(20)).toMatchObject([{ body: "next", attempt: 2 }]);
    },
  },
};
