/**
 * A proxy between clients and a broker, on loopback: it cuts lines, delays, sends twice what may be sent twice, and swallows
 * answers, as the weather says; and it tells of moments that only somebody on the line sees. It changes no byte.
 */
import {
  Agent,
  createServer,
  request as call,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import type { Dice } from "../sim/world/dice.ts";

/** Probabilities, and the longest delay. */
export interface Weather {
  /** The line breaks before the request has passed. */
  readonly cut: number;
  /** The line breaks in the middle of the answer. */
  readonly cutAnswer: number;
  /** The line breaks before the answer. */
  readonly swallow: number;
  readonly duplicate: number;
  readonly delay: number;
  readonly delayMsMax: number;
}

export const CALM: Weather = {
  cut: 0,
  cutAnswer: 0,
  swallow: 0,
  duplicate: 0,
  delay: 0,
  delayMsMax: 0,
};

/** `passed`: the broker has the request, and nobody has an answer. `answered`: the proxy has it, and the client not yet. */
export type Moment =
  `${"send" | "prepare" | "commit" | "ack" | "receive"} ${"passed" | "answered"}`;

const KINDS: readonly (readonly [RegExp, "send" | "prepare" | "commit" | "ack" | "receive"])[] = [
  [/\/topics\/[^/]+\/messages$/u, "send"],
  [/\/transactions$/u, "prepare"],
  [/\/commit$/u, "commit"],
  [/\/ack$/u, "ack"],
  [/\/receive$/u, "receive"],
];

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export class Proxy {
  readonly #dice: Dice;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  /** Both ends of each stream. */
  readonly #streams = new Set<Duplex>();
  weather: Weather = CALM;
  /** Where the broker listens. */
  upstreamPort = 0;
  /** Told of each moment, in the turn of the event loop in which it comes. */
  onMoment: (moment: Moment) => void = () => {};
  readonly counts = { requests: 0, streams: 0, cut: 0, swallowed: 0, duplicated: 0, delayed: 0 };

  constructor(dice: Dice) {
    this.#dice = dice;
    this.#server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#stream(request, socket, head);
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, "127.0.0.1", resolve);
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeAllConnections();
    for (const socket of this.#streams) socket.destroy();
    this.#agent.destroy();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await buffer(request);
      await this.#pass(request, body, response);
    } catch {
      // Whatever broke on the way to the broker breaks the client's line.
      response.destroy();
    }
  }

  async #pass(request: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> {
    const { weather, counts } = this;
    counts.requests++;
    if (this.#dice.chance(weather.delay)) {
      counts.delayed++;
      await pause(this.#dice.roll() * weather.delayMsMax);
    }
    if (this.#dice.chance(weather.cut)) {
      counts.cut++;
      response.destroy();
      return;
    }
    if (mayDouble(request, body) && this.#dice.chance(weather.duplicate)) {
      counts.duplicated++;
      void this.#forward(request, body).catch(() => undefined);
    }
    const answer = await this.#forward(request, body, response);
    if (this.#dice.chance(weather.swallow)) {
      counts.swallowed++;
      response.destroy();
      return;
    }
    const {
      connection: _,
      "transfer-encoding": __,
      "keep-alive": ___,
      ...headers
    } = answer.headers;
    response.writeHead(answer.status, { ...headers, "content-length": String(answer.body.length) });
    if (this.#dice.chance(weather.cutAnswer)) {
      counts.cut++;
      response.write(answer.body.subarray(0, answer.body.length >> 1), () => response.destroy());
      return;
    }
    response.end(answer.body);
  }

  /** A WebSocket is passed on as it is, byte by byte; in bad weather it breaks sooner or later. */
  #stream(request: IncomingMessage, client: Duplex, head: Buffer): void {
    const { weather, counts } = this;
    counts.streams++;
    const upstream = connect(this.upstreamPort, "127.0.0.1");
    const end = (): void => {
      for (const socket of [client, upstream]) {
        this.#streams.delete(socket);
        socket.destroy();
      }
    };
    for (const socket of [client, upstream]) {
      this.#streams.add(socket);
      socket.on("error", end).once("close", end);
    }
    const lines = [`${request.method} ${request.url} HTTP/1.1`];
    for (let at = 0; at < request.rawHeaders.length; at += 2)
      lines.push(`${request.rawHeaders[at]}: ${request.rawHeaders[at + 1]}`);
    upstream.write(`${lines.join("\r\n")}\r\n\r\n`);
    upstream.write(head);
    client.pipe(upstream).pipe(client);
    if (!this.#dice.chance(weather.cut + weather.cutAnswer)) return;
    counts.cut++;
    setTimeout(end, this.#dice.roll() * weather.delayMsMax);
  }

  /** The whole answer. With `client`, moments are told, and the call ends when the client is gone. */
  #forward(request: IncomingMessage, body: Buffer, client?: ServerResponse): Promise<Answer> {
    const kind = request.method === "POST" ? kindOf(request.url ?? "") : undefined;
    const tell = (when: "passed" | "answered"): void => {
      if (kind !== undefined && client !== undefined) this.onMoment(`${kind} ${when}`);
    };
    return new Promise((resolve, reject) => {
      const { host: _, connection: __, "transfer-encoding": ___, ...headers } = request.headers;
      const upstream = call({
        host: "127.0.0.1",
        port: this.upstreamPort,
        agent: this.#agent,
        method: request.method,
        path: request.url,
        headers: { ...headers, "content-length": String(body.length) },
      });
      upstream.on("error", reject);
      upstream.once("response", (incoming) => {
        buffer(incoming).then((answered) => {
          tell("answered");
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: answered });
        }, reject);
      });
      client?.once("close", () => {
        if (client.writableFinished) return;
        upstream.destroy();
        reject(new Error("the client is gone"));
      });
      upstream.end(body, () => tell("passed"));
    });
  }
}

function kindOf(url: string) {
  return KINDS.find(([pattern]) => pattern.test(url))?.[1];
}

/** What the contract lets anybody send twice. */
function mayDouble({ headers, url = "", method }: IncomingMessage, body: Buffer): boolean {
  if (method === "GET" || headers["idempotency-key"] !== undefined || url.endsWith("/ack"))
    return true;
  return url.endsWith("/receive") && body.includes('"attemptId"');
}
