/** What fails comes again, and at last no more. */
import { expect } from "vitest";
import { until } from "../../conformance/kit.ts";
import { type Behaviours, drain, fail, failing, one } from "./behaviour.ts";

export const failures: Behaviours = {
  "what fails too often is a dead letter, and its consumers are rid of it": {
    making: failing({ maxAttempts: 2 }),
    async run(queue, { has }) {
      await queue.send({ body: "poison" });
      for (let attempt = 1; attempt <= 2; attempt++) {
        const got = await one(queue);
        expect(got).toMatchObject({ body: "poison", attempt });
        await fail(queue, has, got);
      }
      expect(await queue.receive(2)).toEqual([]);
      await until("it is a dead letter", async () => {
        const letters = await queue.deadLetters();
        return letters.length === 1 && letters[0] === "poison";
      });
    },
  },

  "a message that fails holds up no other": {
    making: failing({}),
    async run(queue, { has }) {
      await queue.send({ body: "fails" });
      const got = await one(queue);
      await queue.send({ body: "follows" });
      await fail(queue, has, got);
      const both = await drain(queue, 2);
      const attempts = Object.fromEntries(both.map(({ body, attempt }) => [body, attempt]));
      expect(attempts).toEqual({ fails: 2, follows: 1 });
    },
  },

  "a redrive brings dead letters back, as if they had never failed": {
    needs: ["redrive"],
    making: failing({ maxAttempts: 1 }),
    async run(queue, { has }) {
      await queue.send({ body: "again" });
      await fail(queue, has, await one(queue));
      await queue.redrive();
      expect(await one(queue)).toMatchObject({ body: "again", attempt: 1 });
      expect(await queue.deadLetters()).toEqual([]);
    },
  },
};
