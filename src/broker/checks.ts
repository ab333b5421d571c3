/**
 * Polling for checks. The coordinator holds the wait; when the client goes away it is told so, for a check that is handed to
 * nobody is lost until the next attempt.
 */
import { accept, type Outcome } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { CheckBegun } from "../protocol/rpc.ts";
import type { ChecksQuery } from "./broker.ts";
import type { Ground } from "./objects.ts";

interface ProducerGroupName {
  readonly namespace: string;
  readonly producerGroup: string;
}

export async function pollChecks(
  ground: Ground,
  at: ProducerGroupName,
  asked: ChecksQuery,
): Promise<Outcome<{ readonly checks: readonly CheckBegun[] }>> {
  const polled = await poll(ground, at, asked);
  if (!polled.ok) return polled;
  const filled = await Promise.all(
    polled.value.checks.map((check) => ground.bodies.completeCheck(check)),
  );
  for (const { end } of filled) end();
  return accept({ checks: filled.map(({ check }) => check) });
}

function poll(
  { objects, random }: Ground,
  at: ProducerGroupName,
  { maxMessages, waitMs, consumerId, signal }: ChecksQuery,
): Promise<Outcome<{ readonly checks: readonly CheckBegun[] }>> {
  const part = (): string => Math.floor(random() * 2 ** 48).toString(36);
  const waitId = signal === undefined ? undefined : `${part()}${part()}`;
  const query = {
    maxMessages,
    waitMs,
    bytesMax: LIMITS.entriesBytesMax,
    ...(consumerId === undefined ? {} : { consumerId }),
    ...(waitId === undefined ? {} : { waitId }),
  };
  const polled = objects.coordinator(at, (coordinator) =>
    coordinator.poll(at.namespace, at.producerGroup, query),
  );
  if (signal === undefined || waitId === undefined) return polled;
  const onAbort = (): void => {
    // A lost call lets the poll end by itself.
    void objects.coordinator(at, async (coordinator) =>
      accept(await coordinator.cancelPoll(waitId)),
    );
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return polled.finally(() => signal.removeEventListener("abort", onAbort));
}
