/**
 * What a queue is set to: what HalfMQ has a setting for stands there, the rest in labels of the topic under their SQS names. It
 * only reads; attributes.ts changes.
 */
import { OWN_LABEL, type Queue } from "./context.ts";

/** Attributes that are whole numbers, and a new queue's value. */
export const NUMBERS = {
  DelaySeconds: { least: 0, most: 900, usual: 0 },
  MaximumMessageSize: { least: 1_024, most: 1_048_576, usual: 1_048_576 },
  MessageRetentionPeriod: { least: 60, most: 1_209_600, usual: 345_600 },
  ReceiveMessageWaitTimeSeconds: { least: 0, most: 20, usual: 0 },
  VisibilityTimeout: { least: 0, most: 43_200, usual: 30 },
} as const;

/** A lease shorter than this is this long: HalfMQ has none shorter. */
export const INVISIBLE_MS_MIN = 100;

export interface QueueSettings {
  readonly delaySeconds: number;
  readonly maximumMessageSize: number;
  readonly waitSeconds: number;
  readonly isContentBased: boolean;
}

export const ownLabel = ({ route }: Queue, name: string): string | undefined =>
  route.settings.labels?.[OWN_LABEL + name];

export function settingsOf(queue: Queue): QueueSettings {
  const number = (name: keyof typeof NUMBERS): number => {
    const label = ownLabel(queue, name);
    return label === undefined ? NUMBERS[name].usual : Number(label);
  };
  return {
    delaySeconds: number("DelaySeconds"),
    maximumMessageSize: number("MaximumMessageSize"),
    waitSeconds: number("ReceiveMessageWaitTimeSeconds"),
    isContentBased: ownLabel(queue, "ContentBasedDeduplication") === "true",
  };
}
