/** What a message holds arrives as it was sent, up to the limits, and past them nothing does. */
import { expect } from "vitest";
import { sorted } from "../../conformance/kit.ts";
import { bodies, type Behaviours, drain, LONG_SECONDS, one } from "./behaviour.ts";

const TEXTS = [
  'ünïcödé 🎈 "quotes" \\ <xml/> &amp;\r\n\tand {"json": [1]}',
  "<![CDATA[x",
  "null",
  "12345678901234567890",
  " blanks around ",
  "%41+%2B",
];

export const content: Behaviours = {
  "texts of any kind arrive as they were sent": {
    async run(queue) {
      for (const body of TEXTS) await queue.send({ body });
      expect(sorted(bodies(await drain(queue, TEXTS.length)))).toEqual(sorted(TEXTS));
    },
  },

  "bytes of any kind arrive as they were sent": {
    needs: ["bytes"],
    async run(queue) {
      const body = Uint8Array.from({ length: 256 }, (_, at) => at);
      await queue.send({ body });
      expect((await one(queue)).body).toEqual(body);
    },
  },

  "properties arrive as they were sent": {
    needs: ["properties"],
    async run(queue) {
      const properties = { colour: "blue", size2: "ünïcödé 🎈, a=b; c/d" };
      await queue.send({ body: "with", properties }, { body: "without" });
      const got = await drain(queue, 2);
      const by = new Map(got.map((each) => [each.body, each.properties]));
      expect(by.get("with")).toEqual(properties);
      expect(by.get("without")).toEqual({});
    },
  },

  "a tag arrives as it was sent": {
    needs: ["tags"],
    async run(queue) {
      await queue.send({ body: "tagged", tag: "order.paid" });
      expect(await one(queue)).toMatchObject({ body: "tagged", tag: "order.paid" });
    },
  },

  "the longest body arrives whole, one letter more is refused, and nothing of it stays": {
    async run(queue) {
      const longest = "x".repeat(queue.bodyLettersMax);
      await expect(queue.send({ body: `${longest}x` })).rejects.toThrow();
      await queue.send({ body: longest });
      const got = await one(queue);
      expect(got.body === longest, `${got.body.length} letters`).toBe(true);
      await queue.ack(got.handle);
      expect(await queue.receive(0)).toEqual([]);
    },
  },

  "a message that is over does not come again": {
    needs: ["expiry", "giving back"],
    making: () => ({ invisibleSeconds: LONG_SECONDS }),
    async run(queue) {
      await queue.send({ body: "over", expiresAt: Date.now() + 3_000 });
      const got = await one(queue);
      expect(await queue.receive(4)).toEqual([]);
      await queue.giveBack(got.handle);
      expect(await queue.receive(1)).toEqual([]);
    },
  },
};
