/**
 * The API over a broker made of memory: it writes down what it was asked and answers what a test says. Requests go through
 * the whole app, as from the wire.
 */
import { LIMITS } from "../../src/protocol/limits.ts";
import { createApp } from "../../src/api/app.ts";
import type { Edge } from "../../src/api/operation.ts";
import type { Principal } from "../../src/auth/principal.ts";
import type { Broker } from "../../src/broker/broker.ts";
import { unboundRefusal } from "../../src/platform/bound-worker.ts";
import { targetPolicy } from "../../src/platform/target.ts";
import { accept, refuse, type Outcome } from "../../src/protocol/errors.ts";

export const NOW_MS = 1_700_000_000_000;

interface Asked {
  readonly verb: string;
  readonly parameters: readonly never[];
}

type Answers = { readonly [K in keyof Broker]?: Broker[K] };

export const KEYS: Readonly<Record<string, Principal>> = {
  root: {
    namespace: "default",
    scopes: ["send", "transact", "consume", "manage"],
    root: true,
    keyName: "root",
  },
  sender: { namespace: "default", scopes: ["send"], root: false, keyName: "sender" },
  bound: {
    namespace: "default",
    scopes: ["send", "transact", "consume", "manage"],
    topics: ["a-*", "exact"],
    root: false,
    keyName: "bound",
  },
  manager: { namespace: "default", scopes: ["manage", "send"], root: false, keyName: "manager" },
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

/** `keys` may change while the test goes on, as keys that are deleted do. */
export function testEdge(
  answers: Answers = {},
  keys: Readonly<Record<string, Principal | undefined>> = KEYS,
) {
  const asked: Asked[] = [];
  const logged: string[] = [];
  const broker = new Proxy({} as Broker, {
    get:
      (_, verb) =>
      (...parameters: never[]): unknown => {
        asked.push({ verb: String(verb), parameters });
        const answer: unknown = Reflect.get(answers, verb);
        if (typeof answer !== "function")
          throw new Error(`nobody said what ${String(verb)} answers`);
        return Reflect.apply(answer, undefined, parameters);
      },
  });
  let ids = 0;
  const edge: Edge = {
    broker,
    authenticate: (request) =>
      Promise.resolve(principalOf(keys, request.headers.get("authorization"))),
    admit: (caller, messages) =>
      Promise.resolve(
        messages <= (caller.limits?.burst ?? Infinity)
          ? accept(undefined)
          : refuse("rate_limited", "too many"),
      ),
    signingPair: ({ keyName }) => ({ accessKeyId: keyName, secretAccessKey: "secret" }),
    nowMs: () => NOW_MS,
    newRequestId: () => `made-${++ids}`,
    log: {
      info: () => undefined,
      error: (event, fields) => void logged.push(`${event} ${String(fields?.["requestId"])}`),
    },
    targets: targetPolicy({}),
    bound: (binding, field) => unboundRefusal({ ORDERS: { fetch: () => 0 } }, binding, field),
    bodyBytesMax: LIMITS.bodyBytesMax,
    version: "0.0.0-test",
  };
  const app = createApp(edge);
  const raw = (method: string, path: string, init: RequestInit = {}): Promise<Response> =>
    Promise.resolve(app.request(path, { method, ...init }));
  const call = async (
    method: string,
    path: string,
    body?: unknown,
    more: { key?: string; headers?: Record<string, string>; text?: string } = {},
  ): Promise<Answer> => {
    const text = more.text ?? (body === undefined ? undefined : JSON.stringify(body));
    const { key = "root" } = more;
    const headers: Record<string, string> = {
      ...(key === "" ? {} : { authorization: `Bearer ${key}` }),
      ...(text === undefined ? {} : { "content-type": "application/json" }),
      ...more.headers,
    };
    const answer = await raw(method, path, {
      headers,
      ...(text === undefined ? {} : { body: text }),
    });
    const answerText = await answer.text();
    const json = answerText.startsWith("{")
      ? (JSON.parse(answerText) as Record<string, unknown>)
      : {};
    return { status: answer.status, headers: answer.headers, text: answerText, json };
  };
  return { edge, asked, logged, call, raw };
}

function principalOf(
  keys: Readonly<Record<string, Principal | undefined>>,
  authorization: string | null,
): Outcome<Principal> {
  const principal = keys[authorization?.replace("Bearer ", "") ?? ""];
  return principal === undefined ? refuse("unauthenticated", "who are you") : accept(principal);
}
