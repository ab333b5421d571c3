/**
 * Every number that bounds a request or an object, with its unit as the last word of its name.
 * The wire's limits are fixed by docs/PROTOCOL.md; the others protect an object's memory and may change.
 */

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const MIB = 1024 * 1024;

export const LIMITS = {
  nameCharsMax: 127,
  wordBytesMax: 128,
  keysMax: 16,
  propertiesMax: 128,
  propertiesBytesMax: 16 * 1024,
  labelsMax: 128,
  labelNameBytesMax: 512,
  labelBytesMax: 2_048,
  /** Names and texts of a topic's labels together. */
  labelsBytesMax: 16 * 1024,
  contentTypeBytesMax: 256,
  bodyBytesMax: MIB,
  requestBytesMax: 8 * MIB,
  /** A body that goes to the bucket, where one is bound. Whatever hands a message out holds it whole, in Base64 a third more. */
  largeBodyBytesMax: 8 * MIB,
  requestMessagesMax: 1_000,
  requestReceiptsMax: 1_000,
  receiptCharsMax: 1_024,
  receiveMessagesMax: 1_000,
  /** Dead letters that one call to a queue puts back, when all of them are asked for. */
  redriveMax: 1_000,
  /** An answer stops at this many bytes of messages, but carries at least one. */
  answerBytesMax: 8 * MIB,
  /** What an answer's messages take as stored: in Base64 bytes grow by a third, and each message has its other fields. */
  entriesBytesMax: 5.5 * MIB,
  waitMsMax: 20 * SECOND_MS,
  invisibleMsMin: 100,
  invisibleMsMax: 12 * HOUR_MS,
  delayMsMax: 366 * DAY_MS,
  queuesMax: 256,
  retentionMsMin: MINUTE_MS,
  retentionMsMax: 30 * DAY_MS,
  dedupWindowMsMax: 7 * DAY_MS,
  checkMsMin: 100,
  checkMsMax: DAY_MS,
  checksMax: 100,
  attemptsMax: 1_000,
  inFlightMax: 1_000_000,
  messageGroupConcurrencyMax: 1_000,
  transactionMessagesMax: 100,
  groupsMax: 1_000,
  /** Settings of a topic's groups together: each queue keeps them in one row, which holds 2 MB on Cloudflare. */
  groupSettingsBytesMax: 1_250_000,
  filterTagsMax: 100,
  filterBytesMax: 4_096,
  /** Parentheses, NOT, signs and comparisons within one another. */
  filterDepthMax: 32,
  /** A property with more characters is a text and no number to a filter. */
  filterNumberCharsMax: 64,
  consumersMax: 1_000,
  /** Sockets of one group's stream. */
  streamsMax: 1_000,
  pushConcurrencyMax: 100,
  pushTimeoutMsMax: 5 * MINUTE_MS,
  pushRateMin: 0.1,
  pushRateMax: 100_000,
  /** One call of a push, or one frame of a stream, carries at most this much, but at least one message. */
  pushBytesMax: MIB,
  listItemsMax: 1_000,
  listItemsDefault: 100,
  idempotencyKeyCharsMax: 128,
  /** How long an Idempotency-Key is remembered; the wire promises ten minutes at least. */
  idempotencyWindowMs: 15 * MINUTE_MS,
  /** A producer that was silent for so long is forgotten, and begins again at sequence 1. */
  producerWindowMs: 7 * DAY_MS,
  /** Producers, counted per message group, that one queue remembers; past it 429 rate_limited for new ones. */
  producersMax: 100_000,
  /** Idempotency keys and dedup ids that one queue holds; past it 429 rate_limited. */
  keysHeldMax: 4_000_000,
  /** Decisions are remembered for the topic's retention, but never shorter than this. */
  decisionMsMin: 3 * DAY_MS,
  /** Dead letters and discarded transactions keep their own copy this long. */
  keptCopyMs: 30 * DAY_MS,
  /** After a delete, a topic's name is made again by PUT only for this long. */
  deletedNameMs: MINUTE_MS,
  /** How long a commit waits for its messages to other queues to be taken. */
  forwardWaitMs: SECOND_MS,
  /** Long polls one object holds at a time; past it 429 too_many_waiters. */
  waitersMax: 4_000,
  /** Undecided transactions of one queue, and committed messages that it still has to forward; past it 503 overloaded. */
  preparedMax: 100_000,
  /** Storage of one queue past which it takes no sends; the platform's own end is 10 GB an object. */
  queueBytesMax: 9_000_000_000,
  /** Message groups hash to this many slots, and slots to queues. */
  slots: 4_096,
  schedulesMax: 1_000,
  cronCharsMax: 256,
  timeZoneCharsMax: 64,
  /** A run with `missed: "skip"` that could not be sent for so long is left out. */
  scheduleLateMsMax: MINUTE_MS,
  /** The highest rate and burst that a key can be limited to. */
  sendsPerSecondMax: 1_000_000,
} as const;

export const DEFAULTS = {
  maxMessages: 16,
  invisibleMs: 30 * SECOND_MS,
  queues: 1,
  retentionMs: 3 * DAY_MS,
  retentionBytes: 6 * 1024 * MIB,
  dedupWindowMs: 5 * MINUTE_MS,
  checkTimeoutMs: 6 * SECOND_MS,
  checkIntervalMs: 30 * SECOND_MS,
  checksMax: 15,
  checkCallTimeoutMs: 10 * SECOND_MS,
  pushConcurrency: 4,
  pushTimeoutMs: 15 * SECOND_MS,
  maxAttempts: 16,
  backoffInitialMs: 10 * SECOND_MS,
  backoffFactor: 2,
  backoffMaxMs: 2 * HOUR_MS,
} as const;
