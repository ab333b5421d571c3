/**
 * An answer in two writes, for a client that may be gone. Of a connection that was closed in good order plain workerd hears
 * only by writing to it: the first write goes nowhere, the second one fails. It makes no answer later than a turn of the
 * event loop, and cannot tell of a client that is farther away than that.
 */
import { pause, systemClock } from "./clock.ts";

const encoder = new TextEncoder();

/** `onGone` is called when the client did not get all of the text. */
export function inTwoWrites(text: string, onGone: () => void): ReadableStream<Uint8Array> {
  const bytes = encoder.encode(text);
  const last = bytes.length - 1;
  let hasBegun = false;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (!hasBegun) {
        hasBegun = true;
        controller.enqueue(bytes.subarray(0, last));
        return;
      }
      await pause(systemClock, 0);
      controller.enqueue(bytes.subarray(last));
      controller.close();
    },
    cancel: onGone,
  });
}
