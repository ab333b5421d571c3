/** Figures of what is delivered, added up over queues or over the consumers of a group. Pure. */
import type { DeliveryFigures } from "../protocol/rpc.ts";

export const NO_FIGURES: DeliveryFigures = {
  lag: 0,
  inFlight: 0,
  retrying: 0,
  deadLetters: 0,
  poisoned: 0,
  expired: 0,
  oldestUnackedAgeMs: 0,
};

export const sumOfFigures = (one: DeliveryFigures, other: DeliveryFigures): DeliveryFigures => ({
  lag: one.lag + other.lag,
  inFlight: one.inFlight + other.inFlight,
  retrying: one.retrying + other.retrying,
  deadLetters: one.deadLetters + other.deadLetters,
  poisoned: one.poisoned + other.poisoned,
  expired: one.expired + other.expired,
  oldestUnackedAgeMs: Math.max(one.oldestUnackedAgeMs, other.oldestUnackedAgeMs),
});
