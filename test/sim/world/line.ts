/**
 * A WebSocket, invented: what is said on it arrives in order, late, or not at all once it has broken, which each end hears of in
 * its own time. The broker's end is kept by the platform and outlives the memory of the object that it belongs to. It knows
 * nothing of messages.
 */
import type { Socket as ClientSocket } from "../../../src/client/stream-line.ts";
import type { EventClock } from "../../kit/event-clock.node.ts";
import type { Dice } from "./dice.ts";

/** What the broker's end is told. */
export interface LineEvents {
  readonly said: (line: Line, text: string) => void;
  readonly closed: (line: Line, code: number) => void;
}

/** Nobody at the other end: so long a socket that was let in waits for its client. */
const CLAIM_MS = 5_000;
/** An end that nobody tells finds out after so long at most that the line is broken. */
const UNAWARE_MS_MAX = 20_000;
/** What a socket that broke off is closed with. */
const ABNORMAL = 1006;
const OPEN = 1;
const CLOSED = 3;

/** One direction: late, but in order. */
class Way {
  readonly #clock: EventClock;
  readonly #waiting: (() => void)[] = [];

  constructor(clock: EventClock) {
    this.#clock = clock;
  }

  send(hopMs: number, arrive: () => void): void {
    this.#waiting.push(arrive);
    this.#clock.after(hopMs, () => this.#waiting.shift()?.());
  }
}

export class Line {
  readonly #clock: EventClock;
  readonly #dice: Dice;
  readonly #events: LineEvents;
  readonly #hopMs: () => number;
  readonly #there: Way;
  readonly #back: Way;
  /** What is kept with the broker's end. */
  attachment = "";
  /** Nothing that is said arrives any more. */
  #isBroken = false;
  /** As far as the broker's end knows. */
  isOpen = true;
  #client: ClientEnd | undefined;

  constructor(clock: EventClock, dice: Dice, hopMs: () => number, events: LineEvents) {
    this.#clock = clock;
    this.#dice = dice;
    this.#hopMs = hopMs;
    this.#events = events;
    this.#there = new Way(clock);
    this.#back = new Way(clock);
    clock.after(CLAIM_MS, () => {
      if (this.#client === undefined) this.drop();
    });
  }

  /** The client has the answer that let it in. */
  claim(client: ClientEnd): void {
    if (this.#isBroken) return client.end(false);
    this.#client = client;
    client.open(this);
  }

  /** From the broker. */
  say(text: string): void {
    this.#back.send(this.#hopMs(), () => {
      if (!this.#isBroken) this.#client?.hear(text);
    });
  }

  /** By the broker. */
  close(): void {
    this.isOpen = false;
    this.#back.send(this.#hopMs(), () => this.#end(false));
  }

  /** From the client. */
  tell(text: string): void {
    this.#there.send(this.#hopMs(), () => {
      if (this.#isBroken) return;
      // The runtime answers by itself, and wakes nobody.
      if (text === "ping") this.say("pong");
      else this.#events.said(this, text);
    });
  }

  /** By the client. */
  bid(code: number): void {
    this.#there.send(this.#hopMs(), () => {
      if (!this.#isBroken) this.#hearEnd(code);
    });
    this.#client = undefined;
  }

  /** It breaks: what is on its way is lost, and each end finds out in its own time. */
  drop(): void {
    if (this.#isBroken) return;
    const unawareMs = (): number => this.#dice.roll() ** 3 * UNAWARE_MS_MAX;
    const ends = [unawareMs(), unawareMs()] as const;
    this.#isBroken = true;
    this.#client?.broke();
    this.#clock.after(ends[0], () => this.#end(true));
    this.#clock.after(ends[1], () => this.#hearEnd(ABNORMAL));
  }

  /** The broker's end is gone with its process: nobody is told there. */
  cut(): void {
    this.isOpen = false;
    this.drop();
  }

  #end(isError: boolean): void {
    this.#isBroken = true;
    this.#client?.end(isError);
    this.#client = undefined;
  }

  #hearEnd(code: number): void {
    this.#isBroken = true;
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#events.closed(this, code);
  }
}

type Heard = (event: { readonly data: unknown }) => void;

/** The client's end, as a runtime shows it. */
export class ClientEnd implements ClientSocket {
  readyState = 0;
  readonly #listeners = { open: [], close: [], error: [] } as Record<string, (() => void)[]>;
  readonly #hearers: Heard[] = [];
  readonly #onOver: () => void;
  #isOver = false;
  #line: Line | undefined;

  /** `onOver`, once: from now on the broker may take it for ended. Nobody but the network knows yet. */
  constructor(onOver: () => void) {
    this.#onOver = onOver;
  }

  addEventListener(type: "open" | "close" | "error", run: () => void): void;
  addEventListener(type: "message", run: Heard): void;
  addEventListener(type: "open" | "close" | "error" | "message", run: (() => void) & Heard): void {
    if (type === "message") this.#hearers.push(run);
    else this.#listeners[type]?.push(run);
  }

  send(text: string): void {
    if (this.readyState === OPEN) this.#line?.tell(text);
  }

  close(code = 1000): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.broke();
    this.#line?.bid(code);
  }

  /** The network breaks it. */
  drop(): void {
    this.#line?.drop();
  }

  // ------------------------------------------------------------ for the line

  open(line: Line): void {
    if (this.readyState === CLOSED) return line.drop();
    this.#line = line;
    this.readyState = OPEN;
    this.#fire("open");
  }

  hear(data: string): void {
    for (const run of this.#hearers) run({ data });
  }

  broke(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onOver();
  }

  end(isError: boolean): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.broke();
    if (isError) this.#fire("error");
    this.#fire("close");
  }

  #fire(type: string): void {
    for (const run of this.#listeners[type] ?? []) run();
  }
}
