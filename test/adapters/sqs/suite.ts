/** All that the SQS door is held to through the unmodified SDK, for one server. */
import { describe, test } from "vitest";
import { auth } from "./auth.ts";
import { batches, fifo } from "./fifo.ts";
import { deadLetters, moveTasks } from "./dead-letters.ts";
import { type Cases, type Server, worldOf } from "./kit.ts";
import { consumers } from "./consumers.ts";
import { native } from "./native.ts";
import { overQuery, query } from "./query.ts";
import { standard } from "./standard.ts";

const THEMES: Readonly<Record<string, Cases>> = {
  "standard queues": standard,
  "FIFO queues": fifo,
  batches,
  "dead letter queues": deadLetters,
  "move tasks": moveTasks,
  signatures: auth,
  "beside the native door": native,
  "the query protocol": query,
  "sqs-consumer": consumers,
};

export function sqsSuite(server: () => Server, readsXml: boolean): void {
  const more = readsXml ? { "all of it over the query protocol": overQuery } : {};
  for (const [theme, cases] of Object.entries({ ...THEMES, ...more }))
    describe(theme, () => {
      for (const [name, run] of Object.entries(cases)) test(name, () => run(worldOf(server())));
    });
}
