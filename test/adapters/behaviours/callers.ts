/** Who may do what; and that whoever may not leaves no trace. */
import { expect } from "vitest";
import { bodies, type Behaviours, drain, one } from "./behaviour.ts";

export const callers: Behaviours = {
  "a wrong secret is refused, and leaves no trace": {
    async run(queue) {
      const nobody = await queue.as("nobody");
      await expect(nobody.send("of nobody")).rejects.toThrow();
      await queue.send({ body: "of its owner" });
      await expect(nobody.take()).rejects.toThrow();
      expect(await one(queue)).toMatchObject({ body: "of its owner", attempt: 1 });
      expect(await queue.receive(0)).toEqual([]);
    },
  },

  "a key that may send takes nothing": {
    async run(queue) {
      const sender = await queue.as("who may only send");
      await sender.send("from outside");
      await expect(sender.take()).rejects.toThrow();
      expect(await one(queue)).toMatchObject({ body: "from outside", attempt: 1 });
    },
  },

  "a key that may take sends nothing": {
    async run(queue) {
      const consumer = await queue.as("who may only consume");
      await expect(consumer.send("not his to send")).rejects.toThrow();
      await consumer.take();
      await queue.send({ body: "after" });
      expect(bodies(await drain(queue, 1))).toEqual(["after"]);
    },
  },
};
