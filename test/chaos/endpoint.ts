/**
 * A zoo of webhook endpoints on loopback: it answers checks from what producers believe, or in every bad way there is; and
 * takes pushes, or does not. What counts as an answer is noted before it leaves.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import type { DeliveredData } from "../../src/client/index.ts";
import type { Dice } from "../sim/world/dice.ts";
import { note, PUSHED, type Scene } from "./scene.ts";
import { deliveryOf } from "../sim/wire.ts";

export type Habit =
  | "honest"
  | "slow"
  | "hangs"
  | "drips"
  | "floods"
  | "bomb"
  | "redirects"
  | "fails"
  | "errorText"
  | "otherTransaction"
  | "breaksOff"
  | "undecided";

type Misdeed = Exclude<Habit, "honest" | "slow" | "undecided">;

/** Weights. */
export const HONEST: Readonly<Record<Habit, number>> = {
  honest: 1,
  slow: 0,
  hangs: 0,
  drips: 0,
  floods: 0,
  bomb: 0,
  redirects: 0,
  fails: 0,
  errorText: 0,
  otherTransaction: 0,
  breaksOff: 0,
  undecided: 0,
};
export const HOSTILE: Readonly<Record<Habit, number>> = {
  honest: 8,
  slow: 1,
  hangs: 1,
  drips: 1,
  floods: 1,
  bomb: 1,
  redirects: 1,
  fails: 1,
  errorText: 1,
  otherTransaction: 1,
  breaksOff: 1,
  undecided: 2,
};

const MIB = 1_048_576;
const FLOOD_BYTES = 1_024 * MIB;
const CHUNK = Buffer.alloc(MIB, 0x20);
/** 1 MB on the line, a thousand when it is unpacked. */
const BOMB = gzipSync(Buffer.alloc(256 * MIB, 0x20), { level: 9 });
/** Nobody may take more of an answer than this; what sockets buffer on the way is some of it. */
const FLOOD_TAKEN_MAX = 32 * MIB;
const HELD_MS_MAX = 20_000;

export class Endpoint {
  readonly #scene: () => Scene;
  readonly #dice: Dice;
  readonly #server: Server;
  habits: Readonly<Record<Habit, number>> = HOSTILE;
  readonly counts: Partial<Record<Habit, number>> = {};
  /** Most bytes of one endless answer that anybody took. */
  floodTakenMax = 0;
  pushes = 0;

  constructor(scene: () => Scene, dice: Dice) {
    this.#scene = scene;
    this.#dice = dice;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
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
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    if (request.url === "/check") await this.#check(body, response);
    else if (request.url === "/push") await this.#push(body, response);
    else {
      // Where the redirect leads.
      this.#scene().errors.push(`a redirect was followed to ${request.method} ${request.url}`);
      response.end('{"resolution":"commit"}');
    }
  }

  async #check(body: string, response: ServerResponse): Promise<void> {
    const { data } = JSON.parse(body) as { data: { transactionId: string; attempt: number } };
    const { transactionId, attempt } = data;
    const scene = this.#scene();
    scene.checks.push({ transactionId, attempt, at: performance.now(), wall: Date.now() });
    const habit = this.#dice.weighted(this.habits);
    this.counts[habit] = (this.counts[habit] ?? 0) + 1;
    if (habit === "slow") await pause(this.#dice.roll() * 1_500);
    if (habit === "honest" || habit === "slow" || habit === "undecided") {
      const said = habit === "undecided" ? "unknown" : scene.beliefs.lookUp(transactionId);
      note(scene, { is: "asked", transactionId, attempt, said });
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ resolution: said, transactionId }));
    } else await this.#misbehave(habit, response);
  }

  async #misbehave(habit: Misdeed, response: ServerResponse): Promise<void> {
    const commit = '{"resolution":"commit"}';
    switch (habit) {
      case "hangs":
        return this.#hold(response);
      case "drips":
        return this.#drip(response);
      case "floods":
        return this.#flood(response);
      case "bomb":
        response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" });
        response.end(BOMB);
        return;
      case "redirects":
        response.writeHead(this.#dice.pick([301, 302, 307, 308]), { location: "/elsewhere" });
        response.end(commit);
        return;
      case "fails":
        response.writeHead(this.#dice.pick([201, 202, 400, 404, 429, 500, 503]));
        response.end(commit);
        return;
      case "errorText":
        response.end(
          this.#dice.pick(["OK, committed", "", "null", '"commit"', '{"resolution":"COMMIT"}']),
        );
        return;
      case "otherTransaction":
        response.end('{"resolution":"commit","transactionId":"tx_other"}');
        return;
      case "breaksOff":
        response.write(commit.slice(0, 12), () => response.destroy());
    }
  }

  /** Never answers; gone when the other side is, or after a while. */
  async #hold(response: ServerResponse): Promise<void> {
    const gone = new Promise<void>((resolve) => response.once("close", () => resolve()));
    const late = pause(HELD_MS_MAX, undefined, { ref: false });
    await Promise.race([gone, late]);
    response.destroy();
  }

  async #drip(response: ServerResponse): Promise<void> {
    const until = performance.now() + HELD_MS_MAX;
    response.write('{"resolution":');
    while (!response.destroyed && performance.now() < until) {
      response.write(" ");
      await pause(50);
    }
    response.destroy();
  }

  /** A gigabyte of spaces before the closing brace. */
  async #flood(response: ServerResponse): Promise<void> {
    let taken = 0;
    response.write('{"resolution":"commit"');
    while (!response.destroyed && taken < FLOOD_BYTES) {
      taken += CHUNK.length;
      if (!response.write(CHUNK))
        await new Promise<void>((resolve) => {
          response.once("drain", resolve).once("close", resolve);
        });
      // Whoever hangs up is heard of.
      await pause(0);
    }
    this.floodTakenMax = Math.max(this.floodTakenMax, taken);
    if (taken > FLOOD_TAKEN_MAX)
      this.#scene().errors.push(`${taken} bytes of an endless answer were taken`);
    response.destroy();
  }

  /** What is pushed is written down as received, and its 2xx as an ack that nobody has confirmed. */
  async #push(body: string, response: ServerResponse): Promise<void> {
    const { data } = JSON.parse(body) as {
      data: { topic: string; messages: readonly DeliveredData[] };
    };
    const scene = this.#scene();
    this.pushes++;
    const at = { topic: data.topic, group: PUSHED };
    const received = scene.nextOp++;
    // How long the pusher leased it for is not told: no lease is reckoned from this.
    const request = {
      is: "receive",
      ...at,
      invisibleMs: 0,
      isLine: true,
      maxMessages: data.messages.length,
    } as const;
    note(scene, { is: "invoke", op: received, client: "push", request });
    const deliveries = data.messages.map(deliveryOf);
    note(scene, { is: "ok", op: received, answer: { is: "received", deliveries } });
    if (this.habits !== HONEST && this.#dice.chance(0.1)) return this.#hold(response);
    if (this.habits !== HONEST && this.#dice.chance(0.1)) {
      response.writeHead(this.#dice.pick([302, 500, 503]));
      response.end();
      return;
    }
    const settled = scene.nextOp++;
    const receipts = deliveries.map(({ receipt }) => receipt);
    const settle = { is: "settle", ...at, verb: "ack", receipts } as const;
    note(scene, { is: "invoke", op: settled, client: "push", request: settle });
    note(scene, { is: "lost", op: settled });
    response.end();
  }
}
