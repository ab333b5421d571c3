/**
 * Who may do what: the scopes of each operation, one of which a key must have. The only such table; docs/reference/auth.md
 * shows it and a test compares the two. A key that is bound to topics must also match the topic that is touched.
 */
import { allows } from "../auth/allows.ts";
import type { Principal } from "../auth/principal.ts";
import { refuse, type Refusal } from "../protocol/errors.ts";
import type { Scope } from "../protocol/rpc.ts";
import type { Operation } from "./operation.ts";

const READ: readonly Scope[] = ["consume", "manage"];
const ANY: readonly Scope[] = ["send", "transact", "consume", "manage"];
const DECIDERS: readonly Scope[] = ["transact"];
const TRANSACTION_READERS: readonly Scope[] = ["transact", "consume", "manage"];
const CONSUMER: readonly Scope[] = ["consume"];
const MANAGER: readonly Scope[] = ["manage"];

const GROUP = "/v1/topics/{topic}/groups/{group}";

export const SCOPES: Readonly<Record<string, readonly Scope[] | "open">> = {
  "GET /v1/health": "open",
  "GET /openapi.json": ANY,
  "GET /metrics": READ,

  "GET /v1/topics": ANY,
  "PUT /v1/topics/{topic}": MANAGER,
  "GET /v1/topics/{topic}": ANY,
  "DELETE /v1/topics/{topic}": MANAGER,
  "GET /v1/topics/{topic}/stats": READ,
  "GET /v1/topics/{topic}/audit": READ,

  "POST /v1/topics/{topic}/messages": ["send"],
  "GET /v1/topics/{topic}/messages": READ,
  "GET /v1/messages/{id}": ["send", "consume", "manage"],
  "PATCH /v1/messages/{id}": ["send"],
  "DELETE /v1/messages/{id}": ["send"],

  "POST /v1/topics/{topic}/transactions": DECIDERS,
  "GET /v1/topics/{topic}/transactions": TRANSACTION_READERS,
  "GET /v1/transactions/{id}": TRANSACTION_READERS,
  "POST /v1/transactions/{id}/commit": DECIDERS,
  "POST /v1/transactions/{id}/rollback": DECIDERS,
  "POST /v1/transactions/{id}/unknown": DECIDERS,
  "POST /v1/transactions/{id}/resume": DECIDERS,

  "GET /v1/producer-groups": TRANSACTION_READERS,
  "PUT /v1/producer-groups/{group}": DECIDERS,
  "GET /v1/producer-groups/{group}": TRANSACTION_READERS,
  "DELETE /v1/producer-groups/{group}": DECIDERS,
  "POST /v1/producer-groups/{group}/secret": DECIDERS,
  "POST /v1/producer-groups/{group}/checks/receive": DECIDERS,

  "GET /v1/topics/{topic}/groups": READ,
  [`PUT ${GROUP}`]: CONSUMER,
  [`GET ${GROUP}`]: READ,
  [`DELETE ${GROUP}`]: CONSUMER,
  [`POST ${GROUP}/receive`]: CONSUMER,
  [`GET ${GROUP}/stream`]: CONSUMER,
  [`POST ${GROUP}/ack`]: CONSUMER,
  [`POST ${GROUP}/nack`]: CONSUMER,
  [`POST ${GROUP}/extend`]: CONSUMER,
  [`POST ${GROUP}/seek`]: CONSUMER,
  [`POST ${GROUP}/secret`]: CONSUMER,
  [`DELETE ${GROUP}/push`]: CONSUMER,
  [`POST ${GROUP}/pause`]: CONSUMER,
  [`POST ${GROUP}/resume`]: CONSUMER,
  [`GET ${GROUP}/dead-letters`]: READ,
  [`POST ${GROUP}/dead-letters/redrive`]: CONSUMER,
  [`GET ${GROUP}/dead-letters/redrive`]: READ,
  [`DELETE ${GROUP}/dead-letters/redrive`]: CONSUMER,
  [`DELETE ${GROUP}/dead-letters`]: CONSUMER,
  [`GET ${GROUP}/blocked`]: READ,
  [`POST ${GROUP}/blocked/retry`]: CONSUMER,
  [`POST ${GROUP}/blocked/skip`]: CONSUMER,

  "GET /v1/schedules": MANAGER,
  "PUT /v1/schedules/{name}": MANAGER,
  "GET /v1/schedules/{name}": MANAGER,
  "DELETE /v1/schedules/{name}": MANAGER,
  "POST /v1/schedules/{name}/pause": MANAGER,
  "POST /v1/schedules/{name}/resume": MANAGER,

  "GET /v1/keys": MANAGER,
  "PUT /v1/keys/{name}": MANAGER,
  "GET /v1/keys/{name}": MANAGER,
  "DELETE /v1/keys/{name}": MANAGER,
  "GET /v1/signing-pair": ANY,

  "GET /v1/changes": READ,
  "GET /v1/topics/{topic}/tail": READ,
};

export const scopesOf = ({ method, path }: Operation): readonly Scope[] | "open" =>
  // An operation that is missing in the table is nobody's, not everybody's.
  SCOPES[`${method} ${path}`] ?? [];

/** The refusal of a caller who has none of the scopes for this topic; without a topic, none of the scopes at all. */
export function forbids(
  caller: Principal,
  scopes: readonly Scope[],
  topic?: string,
): Refusal | undefined {
  if (scopes.some((scope) => allows(caller, scope, topic).ok)) return undefined;
  const where = topic === undefined ? "" : ` on topic ${topic}`;
  const facts = topic === undefined ? { scopes } : { scopes, topic };
  return refuse("forbidden", `This needs a key with ${scopes.join(" or ")}${where}`, facts);
}
