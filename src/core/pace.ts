/**
 * Whether a rate of deliveries allows another, as one number: the instant until which all that was delivered is paid for.
 * Pure. A quarter of a second's worth may come at once, one message at least; so in any stretch of t seconds there are at
 * most `ratePerSecond` × t and that many.
 */

const BURST_SECONDS = 0.25;
/** Somebody who waits is woken for so much at a time, so that a high rate does not wake the object for each message. */
const WAKE_SECONDS = 0.1;

const burstOf = (ratePerSecond: number): number => Math.max(1, ratePerSecond * BURST_SECONDS);

/** How many messages may be delivered now. */
export function allowed(ratePerSecond: number, paidUntil: number, nowMs: number): number {
  const owed = (Math.max(0, paidUntil - nowMs) * ratePerSecond) / 1_000;
  // A rounding must not cost a message.
  return Math.floor(burstOf(ratePerSecond) - owed + 1e-6);
}

/** Until when all is paid for once so many more are delivered, to the microsecond. */
export function paidAfter(
  ratePerSecond: number,
  paidUntil: number,
  count: number,
  nowMs: number,
): number {
  const until = Math.max(paidUntil, nowMs) + (count * 1_000) / ratePerSecond;
  return Math.round(until * 1_000) / 1_000;
}

/** When it is worth coming again. */
export function worthwhileAt(ratePerSecond: number, paidUntil: number): number {
  const wanted = Math.max(1, ratePerSecond * WAKE_SECONDS);
  return Math.ceil(paidUntil - ((burstOf(ratePerSecond) - wanted) * 1_000) / ratePerSecond);
}
