/**
 * The broker over objects: puts the verbs together around one memory of routes. One per isolate; it holds no request.
 */
import { refuse } from "../protocol/errors.ts";
import { Auditor } from "./audit.ts";
import type { Broker } from "./broker.ts";
import { pollChecks } from "./checks.ts";
import { DeadLetterBox } from "./dead-letters.ts";
import { Lanes } from "./lanes.ts";
import { Lists } from "./lists.ts";
import { Members } from "./members.ts";
import { Messages } from "./messages.ts";
import type { Ground } from "./objects.ts";
import { Receiver } from "./receive.ts";
import { registryVerbs } from "./registry-verbs.ts";
import { Routes } from "./routes.ts";
import { scheduleVerbs } from "./schedules.ts";
import { Sender } from "./send.ts";
import { Settler } from "./settle.ts";
import { isPlace, openTail } from "./tail.ts";
import { Transactions } from "./transactions.ts";

const BAD_PLACE = refuse("invalid_request", "The id is not one that a tail gave", {
  field: "lastEventId",
});

export function createBroker(ground: Ground): Broker {
  const routes = new Routes(ground);
  const lanes = new Lanes();
  const sender = new Sender(ground, routes, lanes);
  const members = new Members(ground);
  const receiver = new Receiver(ground, routes, members);
  const settler = new Settler(ground, routes);
  const deadLetters = new DeadLetterBox(ground, routes);
  const lists = new Lists(ground, routes);
  const auditor = new Auditor(ground, routes);
  const messages = new Messages(ground, routes);
  const transactions = new Transactions(ground, routes, { messages, lanes });
  return {
    ...registryVerbs(ground, routes),
    ...scheduleVerbs(ground, routes),
    send: (at, request) => sender.send(at, request),
    prepare: (at, request) => transactions.prepare(at, request),
    decide: (at, request) => transactions.decide(at, request),
    transaction: (at) => transactions.view(at),
    transactions: (at, query) => lists.transactions(at, query),
    checks: (namespace, producerGroup, query) =>
      pollChecks(ground, { namespace, producerGroup }, query),
    receive: (at, request) => receiver.receive(at, request),
    openStream: (at, request) =>
      routes.useOrMakeGroup(
        at,
        async (route, group) => {
          const joined = await members.join(route, group, request.consumerId, false);
          return joined.ok ? ground.objects.openStream({ ...at, ...request }) : joined;
        },
        () => true,
      ),
    settle: (at, request) => settler.settle(at, request),
    seek: (at, to, consumerId) => settler.seek(at, to, consumerId),
    deadLetters: (at, query) => deadLetters.list(at, query),
    redrive: (at, ids) => deadLetters.redrive(at, ids),
    startRedrive: (at, redrive) => deadLetters.startRedrive(at, redrive),
    redriveProgress: (at) => deadLetters.redriveProgress(at),
    stopRedrive: (at) => deadLetters.stopRedrive(at),
    purgeDeadLetters: (at, which) => deadLetters.purge(at, which),
    blocked: (at, query) => lists.blocked(at, query),
    decideHeld: (at, decision) => deadLetters.decideHeld(at, decision),
    peek: (at, query) => lists.peek(at, query),
    tail: (at, start) =>
      typeof start === "object" && "place" in start && !isPlace(start.place)
        ? Promise.resolve(BAD_PLACE)
        : openTail(ground, routes, at, start),
    message: (at) => messages.view(at),
    recall: (at) => messages.recall(at),
    retime: (at, deliverAt) => messages.retime(at, deliverAt),
    stats: (at) => messages.stats(at),
    audit: (at, query) => auditor.audit(at, query),
  };
}
