/** Limits on a key's sends: the namespace's bucket, and isolates that take shares out of it. */
import { describe, expect, it } from "vitest";
import { SendGate } from "../../src/auth/send-limits.ts";
import type { Principal } from "../../src/auth/principal.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { SendBudgets } from "../../src/registry/send-budgets.ts";

class World {
  nowMs = 1_000_000;
  asked = 0;
  readonly clock: Clock = { nowMs: () => this.nowMs, after: () => () => {} };
  budgets = new SendBudgets(this.clock);

  gate(): SendGate {
    return new SendGate(({ keyName, limits }, least, most) => {
      this.asked++;
      return Promise.resolve(this.budgets.take(keyName, limits, least, most));
    }, this.clock);
  }
}

const key = (sendsPerSecond: number, burst = sendsPerSecond, keyName = "k"): Principal => ({
  namespace: "default",
  scopes: ["send"],
  root: false,
  keyName,
  limits: { sendsPerSecond, burst },
});

/** How many single messages pass within so many milliseconds, one try each per gate and millisecond. */
async function pass(
  world: World,
  gates: readonly SendGate[],
  who: Principal,
  ms: number,
): Promise<number> {
  let passed = 0;
  for (const end = world.nowMs + ms; world.nowMs < end; world.nowMs++)
    for (const gate of gates) if ((await gate.admit(who, 1)).ok) passed++;
  return passed;
}

describe("a limited key", () => {
  it("sends its burst at once and then its rate", async () => {
    const world = new World();
    const gate = world.gate();
    expect(await pass(world, [gate], key(50, 200), 100)).toBeGreaterThanOrEqual(100);
    const passed = await pass(world, [gate], key(50, 200), 10_000);
    expect(passed).toBeGreaterThan(500);
    expect(passed).toBeLessThanOrEqual(200 + 50 * 11);
  });

  it("keeps its limit over many isolates", async () => {
    const world = new World();
    const gates = Array.from({ length: 20 }, () => world.gate());
    await pass(world, gates, key(100), 1_000);
    const passed = await pass(world, gates, key(100), 10_000);
    expect(passed).toBeLessThanOrEqual(100 * 11);
    expect(passed).toBeGreaterThan(900);
  });

  it("asks the registry a few times a second, whether it passes or not", async () => {
    const world = new World();
    const gate = world.gate();
    await pass(world, [gate], key(100_000), 1_000);
    world.asked = 0;
    expect(await pass(world, [gate], key(100_000), 1_000)).toBe(1_000);
    expect(world.asked).toBeLessThanOrEqual(25);
    await pass(world, [gate], key(2, 2, "tight"), 2_000);
    world.asked = 0;
    await pass(world, [gate], key(2, 2, "tight"), 5_000);
    expect(world.asked).toBeLessThanOrEqual(25);
  });

  it("is told when to come again, and which batch would never pass", async () => {
    const world = new World();
    const gate = world.gate();
    await gate.admit(key(10, 20), 20);
    expect(await gate.admit(key(10, 20), 5)).toMatchObject({
      code: "rate_limited",
      retryAfterMs: 500,
      facts: { limit: 10 },
    });
    expect(await gate.admit(key(10, 20), 21)).toMatchObject({
      code: "request_too_large",
      facts: { field: "messages", limit: 20, actual: 21 },
    });
    world.nowMs += 500;
    expect((await gate.admit(key(10, 20), 5)).ok).toBe(true);
  });

  it("does not hinder other keys, and a new limit counts at once", async () => {
    const world = new World();
    const gate = world.gate();
    await gate.admit(key(1), 1);
    expect((await gate.admit(key(1), 1)).ok).toBe(false);
    expect((await gate.admit(key(1, 1, "other"), 1)).ok).toBe(true);
    const { limits: _, ...unlimited } = key(1);
    expect((await gate.admit(unlimited, 1_000)).ok).toBe(true);
    world.nowMs += 1_000;
    expect((await gate.admit(key(1_000), 1_000)).ok).toBe(false);
    world.nowMs += 1_000;
    expect((await gate.admit(key(1_000), 1_000)).ok).toBe(true);
  });

  it("does not count a clock that goes back", async () => {
    const world = new World();
    const gate = world.gate();
    await gate.admit(key(10), 10);
    world.nowMs -= 60_000;
    expect((await world.gate().admit(key(10), 1)).ok).toBe(false);
    world.nowMs += 100;
    expect((await world.gate().admit(key(10), 1)).ok).toBe(true);
  });
});
