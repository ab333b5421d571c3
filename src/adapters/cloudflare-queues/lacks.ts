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

/** What HalfMQ does that this API has no verb for, and what to do instead. */
export const LACKING_VERBS = {
  transactions:
    "There is no verb for half messages; prepare and commit natively, into the same topic.",
  recall: "There is no verb that takes a delayed message back; DELETE /v1/messages/{id} does.",
  redrive: "There is no verb for it; the group's dead-letters/redrive puts them back.",
  extension: "A lease is as long as its pull says; the group's extend makes it longer.",
  filters: "There are no filters; a native group of the same topic has tags and SQL.",
  tags: "A message is its body; what is sent natively may have a tag.",
  properties: "A message is its body; what is sent natively may have properties.",
  groups: "A queue has one consumer; native groups of the same topic read beside it.",
  bytes: "Over HTTP a body is text or JSON; bytes are sent as Base64 text, or natively.",
  expiry: "All messages of a queue are kept for as long, which message_retention_period says.",
} as const;
