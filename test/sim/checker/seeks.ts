/** What a group owes after it was moved: what lies behind where it stands, anew. */
import type { Rest, SeekTarget } from "../history.ts";
import type { Op, Story } from "./story.ts";

type Entry = Rest["topics"][number]["log"][number];

/**
 * The instant after which the message must have been given and acked: that of the last move that surely led back before it,
 * or none. Undefined when a later move may have left the message out.
 */
export function owedSince(story: Story, name: string, entry: Entry): number | undefined {
  const seeks = story.sought.get(name) ?? [];
  let sinceAt = -Infinity;
  for (const seek of seeks)
    if (seek.ended === "ok" && names(seek.request.to, entry) && isBehind(seek, entry))
      sinceAt = Math.max(sinceAt, seek.invokedAt);
  const mayBeLeftOut = seeks.some((seek) => seek.endedAt >= sinceAt && !isBehind(seek, entry));
  return mayBeLeftOut ? undefined : sinceAt;
}

/** Does the move touch the queue that the message is in? */
const names = (to: SeekTarget | undefined, { queue }: Entry): boolean =>
  typeof to !== "object" || to[queue] !== undefined;

/** Does the message surely lie behind where the group was moved to, or is its queue left alone? */
function isBehind({ request: { to }, ...op }: Op<"seek">, entry: Entry): boolean {
  const { queue, offset, storedAt = -Infinity } = entry;
  if (to === undefined || to === "earliest") return true;
  if (to === "latest") return storedAt > op.invokedWall + (op.endedAt - op.invokedAt);
  if (typeof to === "number") return storedAt >= to;
  return offset >= (to[queue] ?? 0);
}
