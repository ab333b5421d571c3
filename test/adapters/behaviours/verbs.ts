/** What not every protocol has a word for. */
import { expect } from "vitest";
import { bodies, type Behaviours, drain, one } from "./behaviour.ts";

export const verbs: Behaviours = {
  "a delayed message comes after its delay, and not before": {
    needs: ["delay"],
    async run(queue) {
      const sentAt = Date.now();
      await queue.send({ body: "later", delaySeconds: 2 });
      await queue.send({ body: "now" });
      const [now] = await drain(queue, 1);
      expect(now?.body).toBe("now");
      expect((await one(queue)).body).toBe("later");
      expect(Date.now() - sentAt).toBeGreaterThanOrEqual(1_995);
    },
  },

  "a purge leaves nothing that was there": {
    needs: ["purge"],
    async run(queue) {
      await queue.send({ body: "a" }, { body: "b" });
      await queue.purge();
      expect(await queue.receive(0)).toEqual([]);
      await queue.send({ body: "after" });
      expect(bodies(await drain(queue, 1))).toEqual(["after"]);
    },
  },

  "a half message is seen after its commit, and never after a rollback": {
    needs: ["transactions"],
    async run(queue) {
      const committed = await queue.prepare("committed");
      const rolledBack = await queue.prepare("rolled back");
      expect(await queue.receive(0)).toEqual([]);
      await rolledBack.rollback();
      await committed.commit();
      expect(bodies(await drain(queue, 1))).toEqual(["committed"]);
      expect(await queue.receive(1)).toEqual([]);
    },
  },

  "a decision may be repeated, and the other one comes too late": {
    needs: ["transactions"],
    async run(queue) {
      const half = await queue.prepare("decided");
      await half.commit();
      await half.commit();
      await expect(half.rollback()).rejects.toThrow();
      expect(bodies(await drain(queue, 1))).toEqual(["decided"]);
      expect(await queue.receive(0)).toEqual([]);
    },
  },

  "a delayed message that is recalled never comes": {
    needs: ["recall"],
    async run(queue) {
      const later = await queue.sendLater("recalled");
      await later.recall();
      expect(await queue.receive(4)).toEqual([]);
    },
  },

  "a filter passes what is wanted, and passes over the rest": {
    needs: ["filters"],
    async run(queue) {
      await queue.filter("wanted");
      await queue.send({ body: "other", tag: "other" }, { body: "this", tag: "wanted" });
      expect(bodies(await drain(queue, 1))).toEqual(["this"]);
      expect(await queue.receive(1)).toEqual([]);
    },
  },
};
