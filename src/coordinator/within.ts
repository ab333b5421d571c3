/** A bound on somebody else's promise. It cannot stop the work behind it; it only stops waiting. */
import type { Clock } from "../platform/clock.ts";

/** The promise's value or error, or undefined once `limitMs` are over; its later error is swallowed. */
export async function within<T>(
  clock: Clock,
  limitMs: number,
  promise: Promise<T>,
): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const cancel = clock.after(limitMs, () => late.resolve(undefined));
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    cancel();
  }
}

export const pause = (clock: Clock, delayMs: number): Promise<void> =>
  new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
