/**
 * What Cloudflare Queues' API has and this door has not, each with its reason: told to who asks for it, and to the reader of
 * docs/doors/cloudflare-queues.md. Never taken and ignored.
 */
export const LACKS = {
  "messages/peek": "Look with GET /v1/topics/{topic}/messages: a log shows what was acked, too.",
  "messages/purge": "Single messages are not taken out of a log; POST …/purge skips all that wait.",
  subscriptions: "HalfMQ hears of no events of other Cloudflare products.",
  jurisdiction: "Where data lies is a setting of the deployment, not of a queue.",
  worker:
    "A Worker is called by the push of a group: PUT /v1/topics/{topic}/groups/{group} with push.binding.",
  dead_letter_queue:
    "Dead letters stay with their group: GET /v1/topics/{topic}/groups/{group}/dead-letters.",
  queue_name: "A queue keeps its name, which is its id.",
} as const;

export const lacks = (what: keyof typeof LACKS): string => LACKS[what];
