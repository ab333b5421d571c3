/**
 * What the protocol has and this door has not, each with its reason: told to who asks for it, and to the reader of
 * docs/doors/rocketmq-http.md. Never taken and ignored.
 */
import { fault, type Fault } from "./faults.ts";

/** Headers that are refused when they come. */
const LACKING_HEADERS: Readonly<Record<string, string>> = {
  "security-token": "There are no temporary credentials: a key of HalfMQ may have an expiresAt.",
};

export function lackingHeader(headers: Headers): Fault | undefined {
  const found = Object.entries(LACKING_HEADERS).find(([name]) => headers.has(name));
  return found === undefined ? undefined : fault("InvalidArgument", `${found[0]}: ${found[1]}`);
}
