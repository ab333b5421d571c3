/** Signatures: who gets in, and as whom. */
import {
  CreateQueueCommand,
  GetQueueUrlCommand,
  ListQueuesCommand,
  SendMessageCommand,
} from "@aws-sdk/client-sqs";
import { expect } from "vitest";
import { unique } from "../../conformance/kit.ts";
import {
  type Cases,
  client,
  errorOf,
  type Pair,
  queue,
  receive,
  there,
  type World,
} from "./kit.ts";

const pairOf = async ({ server }: World, key: string): Promise<Pair> => {
  const answer = await (server.fetch ?? fetch)(`${server.url}/v1/signing-pair`, {
    headers: { authorization: `Bearer ${key}` },
  });
  expect(answer.status).toBe(200);
  return (await answer.json()) as Pair;
};

export const auth: Cases = {
  "a key's signing pair is the key: its scopes, its topics and its namespace": async (world) => {
    const made = await queue(world);
    const { key } = await world.native.keys.put(unique("worker"), {
      scopes: ["send"],
      topics: [made.name],
    });
    const sender = client(world.server, await pairOf(world, there(key)));
    await sender.send(new SendMessageCommand({ QueueUrl: made.url, MessageBody: "x" }));
    for (const refused of [
      () => receive({ sqs: sender }, made),
      () => sender.send(new CreateQueueCommand({ QueueName: unique("other") })),
      () => sender.send(new SendMessageCommand({ QueueUrl: `${made.url}-2`, MessageBody: "x" })),
    ])
      expect((await errorOf(refused())).name).toBe("AccessDenied");
    await queue(world);
    const listed = await sender.send(new ListQueuesCommand({}));
    expect(listed.QueueUrls).toEqual([made.url]);
  },

  "the root key signs for any namespace, and each has its own queues": async (world) => {
    const namespace = unique("ns").toLowerCase();
    const pair = { accessKeyId: `root@${namespace}`, secretAccessKey: world.server.key };
    const there = client(world.server, pair);
    const made = await queue({ sqs: there });
    expect(made.url).toBe(`${world.server.url}/${namespace}/${made.name}`);
    const find = new GetQueueUrlCommand({ QueueName: made.name });
    expect((await errorOf(world.sqs.send(find))).name).toBe("QueueDoesNotExist");
    const reach = receive(world, made, { WaitTimeSeconds: 0 });
    expect((await errorOf(reach)).name).toBe("AccessDenied");
  },

  "a wrong secret, an unknown key and a deleted one are told apart by nobody": async (world) => {
    const name = unique("gone");
    const { key } = await world.native.keys.put(name, { scopes: ["send", "manage"] });
    const pair = await pairOf(world, there(key));
    await world.native.keys.delete(name);
    const seen = new Set<string>();
    for (const wrong of [
      pair,
      { accessKeyId: "root", secretAccessKey: "guessed" },
      { accessKeyId: `default.${unique("nobody")}`, secretAccessKey: world.server.key },
      { accessKeyId: `${unique("nowhere")}.x`, secretAccessKey: world.server.key },
      { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG" },
    ]) {
      const error = await errorOf(client(world.server, wrong).send(new ListQueuesCommand({})));
      seen.add(`${error.name}: ${error.message}`);
    }
    expect([...seen]).toHaveLength(1);
    expect([...seen][0]).toContain("SignatureDoesNotMatch");
  },

  "a clock that is off by more than 15 minutes is told so, and the SDK sets it": async (world) => {
    const late = client(world.server, undefined, { systemClockOffset: -16 * 60_000 });
    const list = () => late.send(new ListQueuesCommand({}));
    expect((await errorOf(list())).name).toBe("RequestExpired");
    await list();
  },

  "what is not signed is refused, and nothing of it is read": async (world) => {
    const ask = (headers: Record<string, string>) =>
      (world.server.fetch ?? fetch)(world.server.url, {
        method: "POST",
        headers: { "x-amz-target": "AmazonSQS.ListQueues", ...headers },
        body: "{}",
      });
    for (const authorization of ["", `Bearer ${world.server.key}`]) {
      const answer = await ask(authorization === "" ? {} : { authorization });
      expect(answer.status).toBe(403);
      expect(await answer.text()).toContain("MissingAuthenticationToken");
    }
    const malformed = await ask({ authorization: "AWS4-HMAC-SHA256 Credential=root" });
    expect(await malformed.text()).toContain("SignatureDoesNotMatch");
  },
};
