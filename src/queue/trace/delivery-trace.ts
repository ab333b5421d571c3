/** What a topic with trace notes of deliveries. `group` is the number of the delivery state. */
import type { Chosen } from "../delivery/chooser.ts";
import type { Flight } from "../delivery/page.ts";
import type { Trace } from "./trace.ts";

/** Consecutive messages with one attempt share an event. */
export function traceDelivered(trace: Trace, group: number, chosen: readonly Chosen[]): void {
  for (let at = 0; at < chosen.length;) {
    const { offset = 0, attempt = 0 } = chosen[at] ?? {};
    let count = 1;
    while (chosen[at + count]?.offset === offset + count && chosen[at + count]?.attempt === attempt)
      count++;
    trace.note("log", [offset, count], { kind: "delivered", group, value: attempt });
    at += count;
  }
}

export function traceAcked(trace: Trace, group: number, offsets: readonly number[]): void {
  const sorted = offsets.toSorted((one, other) => one - other);
  for (let at = 0; at < sorted.length;) {
    const first = sorted[at] ?? 0;
    let count = 1;
    while (sorted[at + count] === first + count) count++;
    trace.note("log", [first, count], { kind: "acked", group });
    at += count;
  }
}

/** Only what is in flight is given back. */
export function traceNacked(
  trace: Trace,
  group: number,
  { offset, attempt, leased }: Flight,
  reason = "",
): void {
  if (leased) trace.note("log", [offset, 1], { kind: "nacked", group, value: attempt, reason });
}
