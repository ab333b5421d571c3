/** All that the Cloudflare Queues door is held to through the unmodified client, for one server. */
import { describe, test } from "vitest";
import { type Cases, type Server, worldOf } from "./kit.ts";
import { messages } from "./messages.ts";
import { queues } from "./queues.ts";

const THEMES: Readonly<Record<string, Cases>> = { messages, queues };

export function cloudflareQueuesSuite(server: () => Server): void {
  for (const [theme, cases] of Object.entries(THEMES))
    describe(theme, () => {
      for (const [name, run] of Object.entries(cases)) test(name, () => run(worldOf(server())));
    });
}
