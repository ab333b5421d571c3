/**
 * What SQS has and this door has not, each with its reason: told to who asks for it, and to the reader of docs/doors/sqs.md.
 * Never taken and ignored.
 */

const BY_KEYS = "Rights are given by HalfMQ keys (PUT /v1/keys), not by queue policies.";
const NO_KMS = "There is no key management service; the disk's owner encrypts it.";

/** Actions that are answered with UnsupportedOperation. */
export const LACKING_ACTIONS: ReadonlyMap<string, string> = new Map([
  ["AddPermission", BY_KEYS],
  ["RemovePermission", BY_KEYS],
]);

/** Attributes of queues that are refused when they are set. */
export const LACKING_ATTRIBUTES: ReadonlyMap<string, string> = new Map([
  ["Policy", BY_KEYS],
  ["KmsMasterKeyId", NO_KMS],
  ["KmsDataKeyReusePeriodSeconds", NO_KMS],
]);

interface Only {
  readonly only: string;
  readonly reason: string;
}

/** Values of attributes that are refused although SQS takes them. */
export const LACKING_VALUES: ReadonlyMap<string, Only> = new Map([
  [
    "DeduplicationScope",
    { only: "messageGroup", reason: "Deduplication ids count within their message group." },
  ],
  [
    "FifoThroughputLimit",
    {
      only: "perMessageGroupId",
      reason: "Nothing limits the throughput of a queue as a whole.",
    },
  ],
  [
    "SqsManagedSseEnabled",
    { only: "false", reason: "HalfMQ encrypts nothing itself; the disk's owner does." },
  ],
]);

/** What HalfMQ does that SQS has no verb for, and what to do instead. */
export const LACKING_VERBS = {
  transactions:
    "SQS has no verb for half messages; prepare and commit natively, into the same topic.",
  recall: "SQS has no verb that takes a delayed message back; DELETE /v1/messages/{id} does.",
  filters: "SQS has no filters; a native group of the same topic has tags and SQL.",
  tags: "A message of SQS has no tag; an attribute is a property.",
  groups:
    "A queue of SQS has one set of consumers; native groups of the same topic read beside it.",
  bytes: "A body of SQS is text; an attribute of the type Binary holds bytes.",
  expiry: "SQS keeps all messages of a queue for as long, which MessageRetentionPeriod says.",
} as const;
