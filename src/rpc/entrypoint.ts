/**
 * What another Worker of the account binds as a service: the wire contract over Workers RPC. Its public methods are `call` and
 * the verbs of verbs.ts; it holds no state, and never throws what it can refuse.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { Edge } from "../api/operation.ts";
import type { BindingAnswer, BindingResult } from "../protocol/calling.ts";
import type { Env } from "../protocol/rpc.ts";
import { answerOf, ask, type Asked, resultOf } from "./calls.ts";
import { principalOf } from "./rights.ts";
import { callOf, VERBS, type Verb } from "./verbs.ts";

/** A class for the deployment whose edge is given; `ctx.props` are the binding's rights. */
export const entrypointOver = (edgeOf: (env: Env) => Edge) =>
  class Entrypoint extends WorkerEntrypoint<Env> {
    static {
      for (const verb of VERBS) {
        const value = function answered(this: Entrypoint, ...given: unknown[]) {
          return this.#verb(verb, given);
        };
        Object.defineProperty(this.prototype, verb, { value });
      }
    }

    /** Any request of the wire contract: what the client makes of a binding. */
    async call(request: unknown, hold?: unknown): Promise<BindingAnswer> {
      return answerOf(await this.#ask(request, hold));
    }

    async #verb(verb: Verb, given: readonly unknown[]): Promise<BindingResult> {
      const made = callOf(verb, given);
      if (made.ok) return resultOf(await this.#ask(made.value.call, made.value.hold));
      return resultOf({ requestId: edgeOf(this.env).newRequestId(), outcome: made });
    }

    #ask(request: unknown, hold: unknown): Promise<Asked> {
      return ask(edgeOf(this.env), request, {
        caller: principalOf(this.ctx.props),
        hold,
        outlive: (work) => this.ctx.waitUntil(work),
      });
    }
  };
