/**
 * The broker over Workers RPC: a service binding to its HalfMQEntrypoint. A call cannot be taken back there, so that one whose
 * signal is aborted is left behind, and told so by its hold.
 */
import type { BindingAnswer, BindingCall, Hold } from "../protocol/calling.ts";
import { reasonOf } from "./clock.ts";
import { textOf } from "./fetch-transport.ts";
import type { Call, Transport } from "./http.ts";

/** The part of a service binding that the client uses. */
export interface CallableBinding {
  call(call: BindingCall, hold?: Hold): Promise<BindingAnswer>;
}

export const bindingTransport = (binding: CallableBinding): Transport => ({
  place: "the binding",
  async attempt(call, signal) {
    const { status, headers, body } = await until(signal, ask(binding, call, signal));
    const text = typeof body === "string" ? body : await new Response(body).text();
    return { status, headers: new Headers(headers), text };
  },
  async open(call, signal) {
    const { status, headers, body } = await until(signal, ask(binding, call, signal));
    const end = typeof body === "string" ? body : body.pipeThrough(passage(), { signal });
    return new Response(end, { status, headers });
  },
});

/** What is aborted is cancelled through it. */
const passage = (): TransformStream<Uint8Array, Uint8Array> => new TransformStream();

function ask(binding: CallableBinding, call: Call, signal: AbortSignal): Promise<BindingAnswer> {
  const text = textOf(call);
  const headers = {
    ...call.headers,
    ...(call.idempotencyKey === undefined ? {} : { "idempotency-key": call.idempotencyKey }),
    ...(call.traceparent === undefined ? {} : { traceparent: call.traceparent }),
  };
  const { method, path } = call;
  const asked = text === undefined ? { method, path, headers } : { method, path, headers, text };
  // Only what waits can have a caller that is gone by then; a hold costs a call back.
  return (call.waitMs ?? 0) > 0 ? binding.call(asked, holdOf(signal)) : binding.call(asked);
}

const holdOf =
  (signal: AbortSignal): Hold =>
  () =>
    new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });

/** The answer, or the signal's reason as soon as it is aborted. */
function until<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(reasonOf(signal));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
