/** Which schedule is next, against a plain list of all of them. */
import * as fc from "../kit/properties.node.ts";
import { expect, test } from "vitest";
import { Dues } from "../../src/scheduler/dues.ts";

const instant = fc.oneof({ weight: 5, arbitrary: fc.nat(50) }, fc.constant(Infinity));
const step = fc.oneof(
  fc.record({ is: fc.constant("set" as const), id: fc.nat(8), at: instant }),
  fc.record({ is: fc.constant("take" as const), now: fc.nat(50) }),
);

test("what is taken and what is next is what a list of all would say", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const dues = new Dues();
      const list = new Map<number, number>();
      const earliest = (): number => Math.min(Infinity, ...list.values());
      for (const each of steps) {
        if (each.is === "set") {
          dues.set(each.id, each.at);
          if (each.at === Infinity) list.delete(each.id);
          else list.set(each.id, each.at);
        } else {
          const wanted = earliest();
          const id = dues.take(each.now);
          if (wanted > each.now) expect(id).toBeUndefined();
          else expect(list.get(id ?? -1)).toBe(wanted);
          if (id !== undefined) list.delete(id);
        }
        expect(dues.nextAt()).toBe(earliest());
      }
    }),
  );
});
