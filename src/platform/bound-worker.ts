/** Workers that the deployment binds by a name of its operator's. The bindings that are HalfMQ's own are none of them. */
import { refuse, type Refusal } from "../protocol/errors.ts";

const OWN: ReadonlySet<string> = new Set([
  "QUEUE",
  "REGISTRY",
  "COORDINATOR",
  "PUSHER",
  "GATEWAY",
  "SCHEDULER",
  "BODIES",
  "HALFMQ_PRIVATE",
]);

/**
 * Undefined: there is no such binding, or it is no Worker. A service binding answers to any method name, so that only a call
 * tells whether it knows this one.
 */
export function boundWorker<T extends object>(
  env: object,
  binding: string,
  method: keyof T,
): T | undefined {
  if (OWN.has(binding) || !Object.hasOwn(env, binding)) return undefined;
  const bound: unknown = Reflect.get(env, binding);
  if (typeof bound !== "object" || bound === null) return undefined;
  return typeof Reflect.get(bound, method) === "function" ? (bound as T) : undefined;
}

/** Refuses a name that the deployment binds to no Worker. What it does bind is not told. */
export function unboundRefusal(env: object, binding: string, field: string): Refusal | undefined {
  // Any method: a service binding answers to all of them.
  const isBound = boundWorker<{ fetch: unknown }>(env, binding, "fetch") !== undefined;
  if (isBound) return undefined;
  const detail = `${field}: this deployment binds no Worker of that name`;
  return refuse("invalid_request", detail, { field });
}
