/**
 * Sends of one topic that come within the client's linger, as one request. A caller never pays for another's mistake: when
 * the broker refuses the request as a whole, every caller's messages are sent by themselves. It never mixes in a send that
 * brings a key, a signal or a trace of its own: those go alone.
 */
import { LIMITS } from "../protocol/limits.ts";
import type { Clock } from "./clock.ts";
import { HalfmqError } from "./error.ts";
import { Linger } from "./linger.ts";
import type { SentMessage } from "./sent.ts";

/** Far below what a request may hold. */
const CHARS_MAX = LIMITS.requestBytesMax / 8;

/** What one caller sends: the JSON text of its messages, and how many they are. */
export interface Outgoing {
  readonly text: string;
  readonly count: number;
}

/** One request of all the messages, with a key of its own. */
type Send = (text: string) => Promise<readonly SentMessage[]>;

type Result = PromiseSettledResult<readonly SentMessage[]>;

export type SendLinger = Linger<Outgoing, readonly SentMessage[]>;

export const sendLinger = (clock: Clock, lingerMs: number, send: Send): SendLinger =>
  new Linger(clock, { lingerMs, weigh, send: (batch) => sendAll(batch, send) });

/** Of half a request, so that what makes it full still fits. */
export const weigh = ({ text, count }: Outgoing): number =>
  Math.max((2 * count) / LIMITS.requestMessagesMax, text.length / CHARS_MAX);

async function sendAll(batch: readonly Outgoing[], send: Send): Promise<readonly Result[]> {
  try {
    return shared(batch, await send(batch.map(({ text }) => text).join()));
  } catch (error) {
    if (batch.length === 1 || !(error instanceof HalfmqError)) throw error;
    const { messages } = error.facts;
    // Some queues took their part: whoever had all of its messages there has its answer.
    if (Array.isArray(messages)) return shared(batch, messages as readonly Told[], error);
    if (error.mayBeDone || error.retryable) throw error;
    return Promise.allSettled(batch.map(({ text }) => send(text)));
  }
}

type Told = SentMessage | { readonly error: string };

/** Each caller's part of the answers; with one that is missing, the error and what it says of this part. */
function shared(
  batch: readonly Outgoing[],
  all: readonly Told[],
  error?: HalfmqError,
): readonly Result[] {
  let at = 0;
  return batch.map(({ count }) => {
    const messages = all.slice(at, (at += count));
    return messages.some((message) => "error" in message)
      ? { status: "rejected", reason: error?.with({ facts: { ...error.facts, messages } }) }
      : { status: "fulfilled", value: messages as SentMessage[] };
  });
}
