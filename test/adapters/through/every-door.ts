/** Every door, against one server, with what it has and lacks. */
import { LACKING_VERBS as CLOUDEVENTS } from "../../../src/adapters/cloudevents/lacks.ts";
import { LACKING_VERBS as CLOUDFLARE_QUEUES } from "../../../src/adapters/cloudflare-queues/lacks.ts";
import { LACKING_VERBS as ROCKETMQ } from "../../../src/adapters/rocketmq/lacks.ts";
import { LACKING_VERBS as SQS } from "../../../src/adapters/sqs/lacks.ts";
import { brokerSuite } from "../broker-suite.ts";
import { cloudEvents } from "./cloudevents.ts";
import { cloudflareQueues } from "./cloudflare-queues.ts";
import { native } from "./native.ts";
import { rocketmq } from "./rocketmq.ts";
import type { Server } from "./server.ts";
import { sqs } from "./sqs.ts";
import { EVERYTHING } from "./through.ts";

export function throughEveryDoor(server: () => Server): void {
  brokerSuite("the native client", (making) => native(server(), making), EVERYTHING);
  brokerSuite("SQS", (making) => sqs(server(), making), { ...EVERYTHING, ...SQS });
  brokerSuite("RocketMQ over HTTP", (making) => rocketmq(server(), making), {
    ...EVERYTHING,
    ...ROCKETMQ,
  });
  brokerSuite("Cloudflare Queues", (making) => cloudflareQueues(server(), making), {
    ...EVERYTHING,
    ...CLOUDFLARE_QUEUES,
  });
  brokerSuite("CloudEvents", cloudEvents(server), { ...EVERYTHING, ...CLOUDEVENTS });
}
