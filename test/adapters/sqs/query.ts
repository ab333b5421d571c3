/**
 * The query protocol: the same cases through the SDK with AWS's own query serializer and XML reader in the place of JSON, and what
 * only that protocol has.
 */
import { AwsQueryProtocol } from "@aws-sdk/core/protocols";
import { expect } from "vitest";
import { batches, fifo } from "./fifo.ts";
import { deadLetters, moveTasks } from "./dead-letters.ts";
import { type Cases, client, queue, type World } from "./kit.ts";
import { standard } from "./standard.ts";

const inQuery = (world: World): World => ({
  ...world,
  sqs: client(world.server, undefined, { protocol: AwsQueryProtocol }),
});

const again = (cases: Cases): Cases =>
  Object.fromEntries(
    Object.entries(cases).map(([name, run]) => [name, (world: World) => run(inQuery(world))]),
  );

/** Where the SDK can read XML: in Workers it has no parser. */
export const overQuery: Cases = {
  ...again(standard),
  ...again(fifo),
  ...again(batches),
  ...again(deadLetters),
  ...again(moveTasks),
};

export const query: Cases = {
  "an answer is XML of the model's namespace, and so is a refusal": async (world) => {
    const seen: { type: string | null; text: string }[] = [];
    const over = world.server.fetch ?? fetch;
    const ask = async (headers: Record<string, string>) => {
      const answer = await over(world.server.url, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
        body: "Action=ListQueues&Version=2012-11-05",
      });
      seen.push({ type: answer.headers.get("content-type"), text: await answer.text() });
      return answer.status;
    };
    expect(await ask({})).toBe(403);
    expect(seen[0]?.type).toBe("text/xml");
    expect(seen[0]?.text).toContain(
      '<ErrorResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><Error><Type>Sender</Type><Code>MissingAuthenticationToken</Code>',
    );
    expect(seen[0]?.text).toMatch(/<RequestId>[^<]+<\/RequestId>/u);
  },

  "what XML cannot say of a native message is Base64, or left out, and the rest of it comes":
    async (world) => {
      const made = await queue(world);
      await world.native.send(made.name, {
        body: "bell \u0007",
        properties: { bell: "\u0007", ding: "dong" },
      });
      const { url: QueueUrl } = made;
      const url = await presigned(world, {
        Action: "ReceiveMessage",
        QueueUrl,
        "MessageAttributeName.1": "All",
      });
      const text = await (await (world.server.fetch ?? fetch)(url, {})).text();
      expect(text).toContain(`<Body>${btoa("bell \u0007")}</Body>`);
      expect(text).toContain("<Name>ding</Name>");
      expect(text).not.toContain("<Name>bell</Name>");
    },

  "a GET whose query is signed is taken, as old tools send it": async (world) => {
    const made = await queue(world);
    const url = await presigned(world, { Action: "GetQueueUrl", QueueName: made.name });
    const over = world.server.fetch ?? fetch;
    const answer = await over(url, {});
    expect(await answer.text()).toContain(`<QueueUrl>${made.url}</QueueUrl>`);
    const other = await over(url.replace("GetQueueUrl", "DeleteQueue"), {});
    expect(other.status).toBe(403);
  },
};

/** Signed by the signer that the SDK itself uses. */
async function presigned(
  { server, sqs }: World,
  parameters: Record<string, string>,
): Promise<string> {
  const { host, hostname, port, protocol } = new URL(server.url);
  const signer = await sqs.config.signer({
    name: "sigv4",
    signingName: "sqs",
    signingRegion: "eu-central-1",
    properties: {},
  });
  if (!("presign" in signer)) throw new Error("the SDK has another signer");
  const signed = await (signer as Presigner).presign(
    {
      method: "GET",
      protocol,
      hostname,
      ...(port === "" ? {} : { port: Number(port) }),
      path: "/",
      query: { Version: "2012-11-05", ...parameters },
      headers: { host },
    },
    { expiresIn: 60 },
  );
  return `${server.url}/?${new URLSearchParams(signed.query).toString().replaceAll("+", "%20")}`;
}

interface Presigner {
  presign(
    request: object,
    options: { readonly expiresIn: number },
  ): Promise<{ readonly query: Record<string, string> }>;
}
