/**
 * Who calls over a binding: the rights that the operator wrote into it. Workers RPC shows no header and no key; a binding
 * without rights, which any Worker of the account may declare, opens nothing.
 */
import { check } from "../api/parse.ts";
import { bindingRights } from "../api/settings-schema.ts";
import type { Principal } from "../auth/principal.ts";
import { accept, refuse, type Outcome } from "../protocol/errors.ts";
import { DEFAULT_NAMESPACE } from "../protocol/rpc.ts";

/** From the `props` of a service binding. */
export function principalOf(props: unknown): Outcome<Principal> {
  const rights = check(bindingRights, props);
  if (!rights.ok) {
    return refuse("unauthenticated", `The binding's props give no rights: ${rights.detail}`, {
      ...rights.facts,
    });
  }
  const { scopes, topics, namespace = DEFAULT_NAMESPACE } = rights.value;
  const principal = { namespace, scopes, root: false, keyName: "" };
  return accept(topics === undefined ? principal : { ...principal, topics });
}
