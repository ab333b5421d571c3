/**
 * What a route of this dialect is made of: one operation, declared with its schemas so that the server, the OpenAPI
 * description and the tests read the same declaration. It never answers anything itself.
 */
import type { z } from "zod";
import type { SentText } from "../core/raw-body.ts";
import type { Principal } from "../auth/principal.ts";
import type { Broker, TopicName } from "../broker/broker.ts";
import type { Log } from "../platform/log.ts";
import type { TargetPolicy } from "../platform/target.ts";
import { accept, type Outcome, type Refusal } from "../protocol/errors.ts";

/** What the routes need of the world. */
export interface Edge {
  readonly broker: Broker;
  readonly authenticate: (
    request: AskedRequest,
  ) => Promise<Outcome<Principal>> | Outcome<Principal>;
  /** Whether the key's own limits let it send so many messages now. */
  readonly admit: (caller: Principal, messages: number) => Promise<Outcome<undefined>>;
  /** What an SDK that signs its requests is configured with, to be this caller; undefined for one without a key. */
  readonly signingPair: (
    caller: Principal,
  ) => { accessKeyId: string; secretAccessKey: string } | undefined;
  readonly nowMs: () => number;
  readonly newRequestId: () => string;
  readonly log: Log;
  /** Which URLs may be registered to be called. */
  readonly targets: TargetPolicy;
  /** Why the deployment's Worker of that name cannot be registered to be called; undefined: it can. */
  readonly bound: (binding: string, field: string) => Refusal | undefined;
  /** Of one message; more where large bodies have a bucket. */
  readonly bodyBytesMax: number;
  readonly version: string;
}

/** What the routes look at of a request beside its body; a Request of HTTP is one. */
export interface AskedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: { get(name: string): string | null };
  /** Aborted when the caller is gone. */
  readonly signal: AbortSignal;
}

/** One authenticated request, parsed. */
export interface Call<B = unknown, Q = unknown> {
  readonly request: AskedRequest;
  /** Decoded; names are well formed. */
  readonly params: Readonly<Record<string, string>>;
  readonly caller: Principal;
  readonly body: B;
  readonly query: Q;
  readonly sent: SentText;
  /** Work that goes on although the client is gone. */
  readonly outlive: (work: Promise<unknown>) => void;
}

export interface Answer {
  readonly status?: number;
  readonly body: string | ReadableStream<Uint8Array>;
  /** Absent: application/json. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Another protocol begins: this goes out beside the headers of the request's own, and the rest is of no use. */
  readonly upgraded?: Response;
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

interface Declared {
  readonly method: Method;
  /** With `{names}`, as OpenAPI writes it. */
  readonly path: string;
  readonly summary: string;
  /** What the description says of the answer; the first is the usual one. */
  readonly statuses: readonly number[];
  /** A repeat with its Idempotency-Key is answered as the first was (idempotency.ts). */
  readonly isKeyed?: true;
}

/** An operation whose schemas are erased: what the server mounts. */
export interface Operation extends Declared {
  readonly body?: z.ZodType;
  readonly query?: z.ZodObject;
  /** Which of the body's shapes a value claims to be, so that a fault is named in that shape. */
  readonly shapeOf?: (value: unknown) => z.ZodType;
  /** The body's outcome for a value that is right at a glance; nothing when the schema must judge (plain.ts). */
  readonly plain?: (value: unknown) => unknown;
  readonly handle: (edge: Edge, call: Call) => Promise<Outcome<Answer>>;
}

interface Typed<B extends z.ZodType, Q extends z.ZodObject> extends Declared {
  readonly body?: B;
  readonly query?: Q;
  readonly shapeOf?: (value: unknown) => z.ZodType;
  readonly plain?: (value: unknown) => unknown;
  readonly handle: (edge: Edge, call: Call<z.output<B>, z.output<Q>>) => Promise<Outcome<Answer>>;
}

/** Declares an operation; the schemas give `call.body` and `call.query` their types. */
export const operation = <B extends z.ZodType, Q extends z.ZodObject>(
  typed: Typed<B, Q>,
): Operation => typed as unknown as Operation;

/** An answer of one JSON value. */
export const json = (value: unknown, status = 200): Answer => ({
  status,
  body: JSON.stringify(value),
});

/** The same as an outcome. */
export const answer = (value: unknown, status = 200): Outcome<Answer> =>
  accept(json(value, status));

export const topicOf = (call: Call): TopicName => ({
  namespace: call.caller.namespace,
  topic: call.params["topic"] ?? "",
});

export const groupNameOf = (call: Call) => ({
  ...topicOf(call),
  group: call.params["group"] ?? "",
});
