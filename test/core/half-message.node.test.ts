/** [T1] [T2] [T3] The life of a half message, whatever decisions and checks come, against a plain retelling of the rules. */
import * as fc from "../kit/properties.node.ts";
import { expect, test } from "vitest";
import { decide, due, dueAt, type Undecided } from "../../src/core/half-message.ts";
import type { Decision, TransactionState } from "../../src/protocol/rpc.ts";

const decision = fc.constantFrom<Decision>("commit", "rollback", "unknown", "resume");
const WANTED = { commit: "committed", rollback: "rolledBack" } as const;

/** The state after a decision, as decide() has it. */
function after(state: TransactionState, asked: Decision): TransactionState {
  const verdict = decide(state, asked);
  if (verdict.do === "move") return verdict.to;
  return verdict.do === "resume" ? "prepared" : state;
}

test("the first of commit and rollback wins, repeats say so, and the other is refused with the winner", () => {
  fc.assert(
    fc.property(fc.array(decision, { maxLength: 12 }), (decisions) => {
      let state: TransactionState = "prepared";
      const first = decisions.find((each) => each === "commit" || each === "rollback");
      let isDecided = false;
      for (const asked of decisions) {
        const verdict = decide(state, asked);
        const isOfTwo = asked === "commit" || asked === "rollback";
        if (isOfTwo && !isDecided) expect(verdict).toEqual({ do: "move", to: WANTED[asked] });
        else if (isOfTwo && asked === first) expect(verdict).toEqual({ do: "repeat" });
        else if (isOfTwo || (asked === "unknown" && isDecided)) {
          const code = first === "commit" ? "transaction_committed" : "transaction_rolled_back";
          expect(verdict).toEqual({ do: "refuse", code });
        } else if (asked === "unknown") expect(verdict).toEqual({ do: "postpone" });
        else expect(verdict).toEqual({ do: "refuse", code: "transaction_not_discarded" });
        isDecided ||= isOfTwo;
        state = after(state, asked);
      }
      expect(state).toBe(first === undefined ? "prepared" : WANTED[first]);
    }),
  );
});

test("only an explicit commit commits, from whatever state, and a discarded one only after a resume", () => {
  const state = fc.constantFrom<TransactionState>(
    "prepared",
    "committed",
    "rolledBack",
    "discarded",
  );
  fc.assert(
    fc.property(state, decision, (before, asked) => {
      const now = after(before, asked);
      if (now === "committed" && before !== "committed")
        expect([before, asked]).toEqual(["prepared", "commit"]);
      if (before === "discarded") expect(now).toBe(asked === "resume" ? "prepared" : "discarded");
      if (before === "committed" || before === "rolledBack") expect(now).toBe(before);
    }),
  );
});

const undecided: fc.Arbitrary<Undecided> = fc.record({
  policy: fc.record({
    timeoutMs: fc.integer({ min: 100, max: 5_000 }),
    intervalMs: fc.integer({ min: 100, max: 5_000 }),
    maxChecks: fc.integer({ min: 1, max: 100 }),
  }),
  checks: fc.integer({ min: 0, max: 101 }),
  nextCheckAt: fc.integer({ min: 0, max: 10_000 }),
  openUntil: fc.integer({ min: 0, max: 10_000 }),
});

test("nothing is due before dueAt, something always is from then on, and never a check too many or while one is open", () => {
  fc.assert(
    fc.property(undecided, fc.integer({ min: 0, max: 20_000 }), (half, nowMs) => {
      const what = due(half, nowMs);
      expect(what === "nothing").toBe(nowMs < dueAt(half));
      if (what === "check") expect(half.checks).toBeLessThan(half.policy.maxChecks);
      if (what === "discard") expect(half.checks).toBeGreaterThanOrEqual(half.policy.maxChecks);
      if (what !== "nothing") expect(half.openUntil).toBeLessThanOrEqual(nowMs);
    }),
  );
});
