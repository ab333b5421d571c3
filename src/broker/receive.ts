/**
 * Receiving: the group is found or made, a consumer of a broadcast group joins, a batch is leased (batch.ts), and large bodies
 * take their places. When the client is gone, the wait is ended where it is held, so that nothing is leased to nobody; what was
 * leased at the same moment is released, which counts no attempt. A group or topic that is deleted under a long poll ends it with
 * `group_not_found` or `topic_not_found`, over one queue and over many: it is never made anew by who waited for the old one.
 */
import { BODY_UNAVAILABLE } from "../bodies/bucket.ts";
import { accept, type Outcome } from "../protocol/errors.ts";
import type { GroupRoute, TopicRoute } from "../protocol/rpc.ts";
import { hashOf } from "./attempt.ts";
import { Batch, type Memory, newMemory } from "./batch.ts";
import type { GroupName, Received, ReceiveRequest } from "./broker.ts";
import type { Members } from "./members.ts";
import type { Ground } from "./objects.ts";
import type { Routes } from "./routes.ts";
import { Waiting } from "./waiting.ts";

/** Batches of messages whose bodies are lost that one receive buries. */
const LOST_ROUNDS_MAX = 16;

export class Receiver {
  readonly #ground: Ground;
  readonly #routes: Routes;
  readonly #members: Members;
  #memory: Memory | undefined;

  constructor(ground: Ground, routes: Routes, members: Members) {
    this.#ground = ground;
    this.#routes = routes;
    this.#members = members;
  }

  async receive(at: GroupName, request: ReceiveRequest): Promise<Outcome<Received>> {
    const nowMs = this.#ground.nowMs();
    const deadline = nowMs + request.waitMs;
    const memory = (this.#memory ??= newMemory(nowMs));
    const attempt = request.attemptId === undefined ? undefined : await hashOf(request.attemptId);
    const waiting = new Waiting(this.#ground, request);
    let isAgain = false;
    const use = async (route: TopicRoute, group: GroupRoute): Promise<Outcome<Received>> => {
      const joined = await this.#members.join(route, group, request.consumerId, isAgain);
      if (!joined.ok) return joined;
      isAgain = true;
      const frame = { route, group, deadline, attempt };
      for (let round = 1; ; round++) {
        const batch = new Batch(this.#ground, request, frame, waiting);
        const refusal =
          route.settings.queues === 1 ? await batch.fromOne() : await batch.fromMany(memory);
        if (waiting.isOver) return accept(await batch.release());
        if (refusal !== undefined && batch.messages.length === 0) return refusal;
        const { lost, away } = await batch.fetchBodies();
        const { messages, paused } = batch;
        if (messages.length > 0)
          return accept({ messages, paused, giveBack: () => batch.release() });
        if (away > 0) return BODY_UNAVAILABLE;
        // What came is dead; there may be others behind it.
        if (lost === 0 || round === LOST_ROUNDS_MAX) return accept({ messages, paused });
      }
    };
    return this.#routes.useOrMakeGroup(at, use, () => !waiting.hasBegun);
  }
}
