/** Words for the JSON Schema of answers, and the answers that are more than a few fields. Plain data, made once. */

export type Schema = Readonly<Record<string, unknown>>;
export type Members = Readonly<Record<string, Schema>>;

export const TEXT: Schema = { type: "string" };
export const FLAG: Schema = { type: "boolean" };
const NUMBER: Schema = { type: "number" };
/** A count, a position, milliseconds, or an instant in epoch milliseconds. */
export const WHOLE: Schema = { type: "integer" };
const ANY: Schema = {};

export const list = (items: Schema): Schema => ({ type: "array", items });
export const oneOf = (...texts: readonly string[]): Schema => ({ enum: texts });
export const byName = (values: Schema): Schema => ({
  type: "object",
  additionalProperties: values,
});
export const shared = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

/** What is always there, and what may be. */
export const object = (required: Members, optional: Members = {}): Schema => ({
  type: "object",
  required: Object.keys(required),
  properties: { ...required, ...optional },
});

const whole = (...names: readonly string[]): Members =>
  Object.fromEntries(names.map((name) => [name, WHOLE]));

export const page = (items: Schema): Schema => object({ items: list(items) }, { nextCursor: TEXT });

// ------------------------------------------------------------ messages

export const message: Members = {
  id: TEXT,
  topic: TEXT,
  ...whole("queue", "offset", "sentAt", "storedAt"),
};
/** What a message says of itself, to its readers as well. */
const open: Members = {
  body: ANY,
  bodyBase64: TEXT,
  bodyError: object({ code: TEXT, bytes: WHOLE }),
  contentType: TEXT,
  tag: TEXT,
  keys: list(TEXT),
  properties: byName(TEXT),
  messageGroup: TEXT,
};
export const content: Members = { ...open, transactionId: TEXT, traceparent: TEXT };
/** As its producer wrote it: what is meant for the broker stands there, too. */
const written: Members = {
  ...open,
  ...whole("delayMs", "deliverAt", "ttlMs", "expiresAt"),
  dedupId: TEXT,
};
export const delivery: Members = {
  ...message,
  ...whole("deliveryAttempt", "invisibleUntil"),
  receipt: TEXT,
};
export const letter: Members = { ...message, ...whole("deliveryAttempt", "deadAt"), reason: TEXT };

/** Without an id: a repeat of a producer that came too late for what it repeats to be remembered. */
export const sent = object(
  { queue: WHOLE, state: oneOf("ready", "delayed", "duplicate") },
  { id: TEXT, ...whole("offset", "deliverAt") },
);

const event = object(
  { type: TEXT, at: WHOLE },
  {
    group: TEXT,
    consumerId: TEXT,
    reason: TEXT,
    by: TEXT,
    ...whole("deliveryAttempt", "attempt", "deliverAt"),
  },
);

const place = object(
  {
    group: TEXT,
    state: oneOf("waiting", "leased", "retrying", "acked", "deadLettered"),
    deliveryAttempt: WHOLE,
  },
  { dueAt: WHOLE, consumerId: TEXT },
);

export const found = object(
  {
    id: TEXT,
    topic: TEXT,
    queue: WHOLE,
    state: oneOf("delayed", "ready", "recalled", "expired"),
    sentAt: WHOLE,
    groups: list(place),
  },
  { ...whole("offset", "storedAt", "deliverAt"), events: list(event) },
);

// ------------------------------------------------------------ topics

const check = object(whole("timeoutMs", "intervalMs", "maxChecks"));

export const topic = object(
  {
    topic: TEXT,
    ...whole(
      "queues",
      "retentionMs",
      "retentionBytes",
      "dedupWindowMs",
      "flushSpacingMs",
      "createdAt",
    ),
    transaction: check,
    durability: oneOf("disk", "memory"),
    trace: FLAG,
  },
  { maxBacklog: WHOLE, labels: byName(TEXT) },
);

export const pushState = object(
  { state: oneOf("active", "waiting", "paused", "disabled"), ...whole("openCalls", "failures") },
  {
    ...whole("nextTryAt", "lastCallAt", "lastSuccessAt"),
    lastFailure: object({ at: WHOLE, reason: TEXT }, { status: WHOLE }),
  },
);

const figures = whole(
  "lag",
  "inFlight",
  "retrying",
  "deadLetters",
  "poisoned",
  "expired",
  "oldestUnackedAgeMs",
);
const states = whole("prepared", "committed", "rolledBack", "discarded");

export const stats = object({
  queues: list(
    object(
      whole(
        "queue",
        "firstOffset",
        "nextOffset",
        "bytes",
        "coldBytes",
        "prepared",
        "failingChecks",
        "delayed",
        "forwarding",
      ),
      { coldUnreachableAt: WHOLE },
    ),
  ),
  groups: list(
    object(
      {
        group: TEXT,
        ...figures,
        consumers: list(
          object({ consumerId: TEXT, lastSeenAt: WHOLE }, { ...figures, lagExact: FLAG }),
        ),
      },
      { lagExact: FLAG, lastSeenAt: WHOLE, push: pushState },
    ),
  ),
  transactions: object(states),
});

export const audit = object(
  {
    faults: WHOLE,
    producers: list(
      object(
        {
          id: TEXT,
          ...whole(
            "queue",
            "epoch",
            "firstSequence",
            "lastSequence",
            "taken",
            "missing",
            "lastSentAt",
          ),
        },
        { messageGroup: TEXT },
      ),
    ),
  },
  {
    queues: list(
      object({
        ...whole("queue", "firstOffset", "nextOffset", "delayed", "prepared", "checkedFrom"),
        holes: list(object(whole("offset", "count"))),
      }),
    ),
    groups: list(
      object({
        group: TEXT,
        ...whole(
          "stored",
          "delivered",
          "acked",
          "deadLettered",
          "expired",
          "filtered",
          "open",
          "unaccounted",
        ),
      }),
    ),
    nextCursor: TEXT,
  },
);

// ------------------------------------------------------------ transactions

const state = oneOf("prepared", "committed", "rolledBack", "discarded");
export const part = object(
  { id: TEXT, queue: WHOLE },
  { topic: TEXT, ...whole("offset", "deliverAt"), undeliverable: FLAG },
);

export const prepared = object({
  transactionId: TEXT,
  state: oneOf("prepared"),
  producerGroup: TEXT,
  check,
  nextCheckAt: WHOLE,
  messages: list(object({ id: TEXT })),
});

export const transaction = object(
  {
    transactionId: TEXT,
    topic: TEXT,
    producerGroup: TEXT,
    state,
    check,
    ...whole("queue", "checks", "preparedAt"),
    messages: list(part),
  },
  {
    ...whole("nextCheckAt", "decidedAt"),
    decidedBy: oneOf("producer", "check", "operator"),
    lastCheck: object({ at: WHOLE, outcome: TEXT }, { status: WHOLE }),
  },
);

export const decided: Members = { transactionId: TEXT, state, repeated: FLAG };

export const question = object({
  transactionId: TEXT,
  topic: TEXT,
  producerGroup: TEXT,
  ...whole("queue", "attempt", "maxChecks", "preparedAt"),
  messages: list(object({ id: TEXT, topic: TEXT, ...whole("queue", "sentAt") }, written)),
});

export const callTarget = object({ timeoutMs: WHOLE }, { url: TEXT, binding: TEXT });
export const producerGroup: Members = { group: TEXT, createdAt: WHOLE };

// ------------------------------------------------------------ groups

export const group: Members = {
  group: TEXT,
  startFrom: { anyOf: [oneOf("earliest", "latest"), WHOLE] },
  ...whole("invisibleMs", "maxAttempts", "maxInFlight", "messageGroupConcurrency", "createdAt"),
  ratePerSecond: NUMBER,
  backoff: {
    anyOf: [
      object({ ...whole("initialMs", "maxMs"), factor: NUMBER }),
      object({ delaysMs: list(WHOLE) }),
    ],
  },
  ordered: FLAG,
  onPoison: oneOf("deadLetter", "block"),
  mode: oneOf("shared", "broadcast"),
  paused: FLAG,
};
export const groupOptions: Members = {
  filter: { anyOf: [object({ tags: list(TEXT) }), object({ sql: TEXT })] },
  push: object(whole("maxMessages", "concurrency", "timeoutMs"), {
    url: TEXT,
    binding: TEXT,
    ratePerSecond: NUMBER,
    format: TEXT,
    handshakeOrigin: TEXT,
    disabled: object({ at: WHOLE, reason: TEXT }),
  }),
};

export const results = object({
  results: list(
    object(
      { receipt: TEXT, ok: FLAG },
      { code: oneOf("receipt_expired", "receipt_invalid"), invisibleUntil: WHOLE },
    ),
  ),
});

export const redrive = object(
  { state: oneOf("none", "running", "stopped", "done"), ...whole("redriven", "remaining") },
  { ratePerSecond: NUMBER, startedAt: WHOLE },
);

export const blocked = object(
  {
    id: TEXT,
    ...whole("queue", "offset", "storedAt", "deliveryAttempt", "waiting"),
    state: oneOf("inFlight", "retrying", "poisoned", "growing"),
  },
  {
    messageGroup: TEXT,
    consumerId: TEXT,
    reason: TEXT,
    waitingExact: FLAG,
    ...whole("dueAt", "formerQueue"),
  },
);

// ------------------------------------------------------------ the rest

export const schedule = object(
  {
    name: TEXT,
    topic: TEXT,
    cron: TEXT,
    timeZone: TEXT,
    missed: oneOf("skip", "once"),
    message: object({}, written),
    paused: FLAG,
    createdAt: WHOLE,
  },
  {
    nextRunAt: WHOLE,
    pendingRun: object(whole("scheduledAt", "startedAt", "attempts"), { code: TEXT }),
    lastRun: object(
      {
        ...whole("scheduledAt", "endedAt", "attempts"),
        outcome: oneOf("sent", "skipped", "failed"),
      },
      { code: TEXT, id: TEXT, queue: WHOLE },
    ),
  },
);

export const key: Members = { name: TEXT, namespace: TEXT, scopes: list(TEXT), createdAt: WHOLE };
export const keyOptions: Members = {
  topics: list(TEXT),
  expiresAt: WHOLE,
  limits: object({ sendsPerSecond: NUMBER, burst: NUMBER }),
};
