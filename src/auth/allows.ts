/**
 * What a principal may do: a scope, on a topic where one is touched. Which scope a route needs is the API's table;
 * it never looks at anything but the principal.
 */
import { accept, type Outcome, refuse } from "../protocol/errors.ts";
import type { Scope } from "../protocol/rpc.ts";
import type { Principal } from "./principal.ts";

const covers = (pattern: string, topic: string): boolean =>
  pattern.endsWith("*") ? topic.startsWith(pattern.slice(0, -1)) : topic === pattern;

export function allows(principal: Principal, scope: Scope, topic?: string): Outcome<true> {
  if (!principal.scopes.includes(scope)) {
    return refuse("forbidden", `This needs a key with the scope ${scope}`, { scope });
  }
  const { topics } = principal;
  if (topic === undefined || topics === undefined) return accept(true);
  if (topics.some((pattern) => covers(pattern, topic))) return accept(true);
  return refuse("forbidden", `The key does not reach topic ${topic}`, { scope, topic });
}
