/** When a service dies next: pure chance from a seed, so that a run's plan can be had again. It never kills anybody. */
import type { KillPoint } from "./kill-point.ts";

/** How one life ends: at a named place, by its own hand, or from outside so long after it was ready; whichever comes first. */
export interface Death {
  readonly place?: { readonly point: KillPoint; readonly pass: number };
  readonly afterMs: number;
}

const ORDER_POINTS: readonly KillPoint[] = ["prepared", "local-commit", "decided", "check"];
const STOCK_POINTS: readonly KillPoint[] = ["before-ack"];
const PASSES_MAX = 10;
const AFTER_MS_MAX = 300;
/** For a place that it does not come by so soon, as when nothing is open to be checked. */
const PATIENCE_MS = 1_000;

/** Deaths for the order service: named places in turn, and every fifth at any moment. */
export function orderDeaths(seed: number, count: number): Death[] {
  return deaths(seed, count, ORDER_POINTS);
}

export function stockDeaths(seed: number, count: number): Death[] {
  return deaths(seed ^ 0x5eed, count, STOCK_POINTS);
}

function deaths(seed: number, count: number, points: readonly KillPoint[]): Death[] {
  const random = randomFrom(seed);
  const upTo = (max: number): number => 1 + Math.floor(random() * max);
  return Array.from({ length: count }, (_, index) => {
    if (index % (points.length + 1) === points.length) return { afterMs: upTo(AFTER_MS_MAX) };
    const point = points[index % points.length] ?? "prepared";
    return { place: { point, pass: upTo(PASSES_MAX) }, afterMs: PATIENCE_MS };
  });
}

/** mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
