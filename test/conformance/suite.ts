/**
 * The conformance suite: what docs/PROTOCOL.md promises, asked of a running HalfMQ over HTTP and nothing else. The same
 * cases run against the server of `npm start`, inside workerd, and against any other deployment by its address.
 */
import { describe, test } from "vitest";
import { audits } from "./audits.ts";
import { auth } from "./auth.ts";
import { authMatrix } from "./auth-matrix.ts";
import { badBodies } from "./bad-input/bodies.ts";
import { badSurroundings } from "./bad-input/around.ts";
import { bodyCases } from "./bodies.ts";
import { checksMore } from "./checks-more.ts";
import { checks } from "./checks.ts";
import { broadcasting } from "./broadcast.ts";
import { type Cases, Mq } from "./client.ts";
import { cloudEvents } from "./cloudevents.ts";
import { clusterRows } from "./cluster-rows.ts";
import { cloudEventPushes } from "./cloudevents-push.ts";
import { consuming } from "./consuming.ts";
import { deadLetters } from "./dead-letters.ts";
import { decisions } from "./decisions.ts";
import { delayRows } from "./delay-rows.ts";
import { delays } from "./delays.ts";
import { fifoRows } from "./fifo-rows.ts";
import { filters } from "./filters.ts";
import { flow } from "./flow.ts";
import { groups } from "./groups.ts";
import { idempotency } from "./idempotency.ts";
import type { Target } from "./kit.ts";
import { ordered } from "./ordered.ts";
import { producers } from "./producers.ts";
import { pushes } from "./pushes.ts";
import { pushFailures } from "./push-failures.ts";
import { reach } from "./reach.ts";
import { reading } from "./reading.ts";
import { retryRows } from "./retry-rows.ts";
import { room } from "./room.ts";
import { schedules } from "./schedules.ts";
import { sendingRows } from "./sending-rows.ts";
import { sending } from "./sending.ts";
import { shape } from "./shape.ts";
import { streams } from "./streams.ts";
import { tails } from "./tails.ts";
import { topics } from "./topics.ts";
import { webhooks } from "./webhooks.ts";

export const THEMES: Readonly<Record<string, Cases>> = {
  "how every answer looks": shape,
  keys: auth,
  "every route and every key": authMatrix,
  topics,
  sending,
  "counting producers": producers,
  bodies: bodyCases,
  delays,
  "rows of delay and recall": delayRows,
  "rows of order": fifoRows,
  "rows of retries": retryRows,
  "rows of clustering and offsets": clusterRows,
  "rows of sending": sendingRows,
  "room for more": room,
  schedules,
  consuming,
  "consumer groups": groups,
  broadcast: broadcasting,
  filters,
  "limits of a group": flow,
  "dead letters": deadLetters,
  "order and growth": ordered,
  reading,
  audits,
  "idempotency keys": idempotency,
  decisions,
  "reach of a transaction": reach,
  checks,
  "checks at their edges": checksMore,
  webhooks,
  pushes,
  "pushes to failing endpoints": pushFailures,
  streams,
  tails,
  "bad bodies": badBodies,
  "bad paths, queries and headers": badSurroundings,
  "the door of CloudEvents": cloudEvents,
  "events of CloudEvents out": cloudEventPushes,
};

const CASE_TIMEOUT_MS = 120_000;

/** Defines the cases for one target. */
export function conformance(
  target: Target | (() => Target),
  themes: Readonly<Record<string, Cases>> = THEMES,
): void {
  for (const [theme, cases] of Object.entries(themes))
    describe(theme, () => {
      for (const [name, run] of Object.entries(cases))
        test(name, { timeout: CASE_TIMEOUT_MS }, () =>
          run(new Mq(typeof target === "function" ? target() : target)),
        );
    });
}
