/** The client of HalfMQ: `import { HalfMQ } from "halfmq"`. Runs in Node 20 and newer, in Workers and in browsers. */
export { HalfMQ } from "./client.ts";
export type {
  BoundOptions,
  ClientOptions,
  HalfMQOptions,
  TransactCallOptions,
  TransactionOptions,
} from "./client.ts";
export type { BoundMessage, HalfMQBinding } from "./binding.ts";
export type { CallableBinding } from "./binding-transport.ts";
export type {
  BindingAnswer,
  BindingCall,
  BindingOptions,
  BindingRefusal,
  BindingResult,
  Hold,
} from "../protocol/calling.ts";
export { HalfmqError, isHalfmqError, isRetryable } from "./error.ts";
export type { ClientCode, HalfmqCode, HalfmqErrorParts } from "./error.ts";
export type { ErrorCode, Facts, ReceiptCode } from "../protocol/errors.ts";
export { LIMITS } from "../protocol/limits.ts";
export type { RetryOptions } from "./retry.ts";
export type { Clock } from "./clock.ts";
export type { Fetch, FetchInit } from "./fetch-transport.ts";
export type { CallOptions, WriteOptions } from "./http.ts";
export { Listing } from "./listing.ts";
export type { ListOptions, Page } from "./listing.ts";

export type { MessageOptions, OneOrMany, OutgoingMessage, TransactionMessage } from "./outgoing.ts";
export { CountingProducer } from "./counting.ts";
export type { CountedMessage, CountingOptions } from "./counting.ts";
export type { MessageStatus, SentMessage, TraceEvent } from "./sent.ts";

export { RollbackError } from "./transact.ts";
export type { TransactOptions } from "./transact.ts";
export { Transaction, Transactions } from "./transaction.ts";
export type {
  Decided,
  Decider,
  DecisionOptions,
  PlacedMessage,
  Prepared,
  Resolution,
  TransactionInfo,
  TransactionState,
} from "./transaction.ts";
export { TransactionProducer } from "./listener.ts";
export type { TransactionListener, TransactionSendResult } from "./listener.ts";

export type { Check, CheckedMessage, CheckFunction } from "./check.ts";
export { checkHandler } from "./check-handler.ts";
export type { CheckHandler, CheckHandlerOptions } from "./check-handler.ts";
export { CheckPoller } from "./check-poller.ts";
export type { CheckPollerOptions } from "./check-poller.ts";
export { nodeListener } from "./node-listener.ts";
export type { NodeRequest, NodeResponse } from "./node-listener.ts";
export { signWebhook, verifyWebhook } from "./webhook.ts";
export type { SignedWebhook, WebhookHeaders } from "./webhook.ts";

export { PushRefusal, pushHandler } from "./push-handler.ts";
export type {
  PushContext,
  PushedMessage,
  PushHandler,
  PushHandlerOptions,
} from "./push-handler.ts";
export type { TailedMessage, TailGap, TailOptions } from "./tail.ts";
export type { Socket, SocketMaker } from "./stream-line.ts";

export { Consumer } from "./consumer.ts";
export type {
  ConsumerOptions,
  LoopOptions,
  ReceiveOptions,
  SubscribeOptions,
} from "./consumer-options.ts";
export { bytesOf, Message } from "./message.ts";
export type { DeliveredData, MessageData } from "./message.ts";
export { Receipts } from "./receipts.ts";
export type { NackOptions, ReceiptResult } from "./receipts.ts";
export { Subscription } from "./subscription.ts";
export type { HandlerContext, MessageHandler, StopOptions, Stopped } from "./subscription.ts";

export { Topics } from "./topics.ts";
export type { DeliveryStats, PeekOptions, TopicAudit, TopicStats } from "./topics.ts";
export type { Gap } from "./gap-watch.ts";
export { Groups } from "./groups.ts";
export type {
  Blocked,
  DeadLetter,
  IdsOptions,
  RedriveProgress,
  Redriven,
  SeekTarget,
} from "./groups.ts";
export { ProducerGroups } from "./producer-groups.ts";
export { Schedules } from "./schedules.ts";
export type { Schedule, ScheduledMessage, ScheduleInput } from "./schedules.ts";
export type { SchedulePending, ScheduleRule, ScheduleRun } from "../protocol/scheduling.ts";
export { Keys } from "./keys.ts";
export type { Key, KeyInput, Scope } from "./keys.ts";
export type {
  Backoff,
  CheckPolicy,
  CheckTarget,
  CheckTargetInput,
  Filter,
  Group,
  GroupInput,
  GroupSettings,
  ProducerGroup,
  PushFormat,
  PushSettings,
  PushState,
  PushTarget,
  Topic,
  TopicInput,
  TopicSettings,
} from "./settings.ts";
export type { Change, ChangesOptions } from "./changes.ts";
