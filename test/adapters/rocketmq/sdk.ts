/** Alibaba Cloud's SDK, which has no types of its own: these are of what its pages say. */
// @ts-expect-error -- it has no declarations
import * as untyped from "@aliyunmq/mq-http-sdk";

export interface Answer<B> {
  readonly code: number;
  readonly requestId: string;
  readonly body: B;
}

interface Published {
  readonly MessageId: string;
  readonly MessageBodyMD5: string;
  readonly ReceiptHandle?: string;
}

export interface Consumed {
  readonly MessageId: string;
  readonly MessageBodyMD5: string;
  readonly MessageBody: string;
  readonly ReceiptHandle: string;
  readonly PublishTime: string;
  readonly FirstConsumeTime: string;
  readonly NextConsumeTime: string;
  readonly ConsumedTimes: string;
  readonly MessageTag?: string;
  readonly MessageKey?: string;
  readonly StartDeliverTime?: number;
  readonly ShardingKey?: string;
  readonly Properties: Readonly<Record<string, string>>;
}

interface Failed {
  readonly ErrorCode: string;
  readonly ErrorMessage: string;
  readonly ReceiptHandle: string;
}

export interface MessageProperties {
  messageKey(key: string): void;
  startDeliverTime(timeMillis: number): void;
  transCheckImmunityTime(timeSeconds: number): void;
  shardingKey(key: string): void;
  putProperty(key: string, value: string): void;
}

export interface Producer {
  publishMessage(
    body: unknown,
    tag?: string,
    properties?: MessageProperties,
  ): Promise<Answer<Published>>;
}

export interface Consumer {
  consumeMessage(count: number, waitSeconds?: number): Promise<Answer<readonly Consumed[]>>;
  consumeMessageOrderly(count: number, waitSeconds?: number): Promise<Answer<readonly Consumed[]>>;
  ackMessage(handles: readonly string[]): Promise<Answer<readonly Failed[] | undefined>>;
}

export interface TransactionProducer extends Producer {
  consumeHalfMessage(count: number, waitSeconds?: number): Promise<Answer<readonly Consumed[]>>;
  commit(handle: string): Promise<Answer<readonly Failed[] | undefined>>;
  rollback(handle: string): Promise<Answer<readonly Failed[] | undefined>>;
}

export interface MQClient {
  request(
    method: string,
    resource: string,
    type: string,
    body: string,
    options?: { readonly timeout?: number },
  ): Promise<Answer<unknown>>;
  getProducer(instance: string, topic: string): Producer;
  getConsumer(instance: string, topic: string, group: string, tag?: string): Consumer;
  getTransProducer(instance: string, topic: string, group: string): TransactionProducer;
}

interface Sdk {
  readonly MQClient: new (endpoint: string, accessKeyId: string, secret: string) => MQClient;
  readonly MessageProperties: new () => MessageProperties;
}

const sdk: Sdk = untyped;

/** Longer than the SDK's three seconds, which a busy machine may take. */
const PATIENCE_MS = 30_000;

export function newClient(url: string, id: string, secret: string): MQClient {
  const client = new sdk.MQClient(url, id, secret);
  const request = client.request.bind(client);
  client.request = (...call) => {
    const [method, resource, type, body, options] = call;
    return request(method, resource, type, body, { timeout: PATIENCE_MS, ...options });
  };
  return client;
}

export const newProperties = (): MessageProperties => new sdk.MessageProperties();
