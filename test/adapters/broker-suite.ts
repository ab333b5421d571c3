/**
 * The same behaviours through every door: what a program may rely on whichever protocol it speaks. A door says what it has; for
 * what it has not it gives the reason, which the suite asks for, and shows in the names of its tests. It knows no protocol.
 */
import { describe, expect, test } from "vitest";
import type { Behaviours } from "./behaviours/behaviour.ts";
import { callers } from "./behaviours/callers.ts";
import { content } from "./behaviours/content.ts";
import { failures } from "./behaviours/failures.ts";
import { leases } from "./behaviours/leases.ts";
import { order } from "./behaviours/order.ts";
import { sending } from "./behaviours/sending.ts";
import { verbs } from "./behaviours/verbs.ts";
import type { Capabilities, Capability, Make } from "./through/through.ts";

const THEMES: Readonly<Record<string, Behaviours>> = {
  "sending and receiving": sending,
  "what a message holds": content,
  leases,
  failures,
  order,
  "more verbs": verbs,
  callers,
};

const TEST_MS_MAX = 120_000;

/** Registers every behaviour that the door has, and the reason for each that it has not. They wait a lot, so they wait together. */
export function brokerSuite(name: string, make: Make, capabilities: Capabilities): void {
  const has = (what: Capability): boolean => capabilities[what] === true;
  describe(name, () => {
    for (const [theme, behaviours] of Object.entries(THEMES))
      describe.concurrent(theme, () => {
        for (const [what, { needs = [], making, run }] of Object.entries(behaviours)) {
          if (!needs.every(has)) continue;
          test(what, { timeout: TEST_MS_MAX }, async ({ onTestFinished }) => {
            const another = () => make(making?.(has) ?? {}, onTestFinished);
            await run(await another(), { has, another });
          });
        }
      });
    for (const [what, reason] of Object.entries(capabilities))
      if (reason !== true)
        test(`has no ${what}: ${reason}`, () => expect(reason.length).toBeGreaterThan(20));
  });
}
