/**
 * Whether the endpoint of a group has said that it wants to be called, where the group asks for that first. A grant is kept on
 * disk, and is good for the URL and the origin that it was given to.
 */
import type { Permission } from "../platform/handshake.ts";
import type { PushSettings } from "../protocol/topic.ts";
import type { Ports, PushQuestion } from "./ports.ts";

interface Grant {
  readonly url: string;
  readonly origin: string;
  readonly perMinute?: number;
}

const NAME = "grant";
const MINUTE_SECONDS = 60;

export class Grants {
  readonly #ports: Ports;
  #grant: Grant | undefined;
  #isAsking = false;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#grant = ports.kept.get(NAME) as Grant | undefined;
  }

  get isAsking(): boolean {
    return this.#isAsking;
  }

  /** What is to be asked before the endpoint is called; nothing: it may be called. */
  missing(push: PushSettings): PushQuestion | undefined {
    if (!("url" in push) || push.handshakeOrigin === undefined || this.#of(push) !== undefined)
      return undefined;
    const { url, handshakeOrigin: origin, timeoutMs, ratePerSecond } = push;
    const perMinute =
      ratePerSecond === undefined
        ? undefined
        : Math.max(1, Math.ceil(ratePerSecond * MINUTE_SECONDS));
    return { url, origin, timeoutMs, ...(perMinute === undefined ? {} : { perMinute }) };
  }

  /** Messages a second: the group's own limit, or what the endpoint granted when that is less. A message is a call at most. */
  ratePerSecond(push: PushSettings | undefined): number {
    if (push === undefined) return Infinity;
    const perMinute = this.#of(push)?.perMinute ?? Infinity;
    return Math.min(push.ratePerSecond ?? Infinity, perMinute / MINUTE_SECONDS);
  }

  async ask(question: PushQuestion): Promise<Permission> {
    this.#isAsking = true;
    try {
      const permission = await this.#ports.ask(question);
      if (permission.is === "granted") {
        const { url, origin } = question;
        const { perMinute } = permission;
        this.#grant = { url, origin, ...(perMinute === undefined ? {} : { perMinute }) };
        this.#ports.kept.put(NAME, this.#grant);
      }
      return permission;
    } finally {
      this.#isAsking = false;
    }
  }

  /** Nothing of the group is left. */
  forget(): void {
    this.#grant = undefined;
  }

  #of(push: PushSettings): Grant | undefined {
    const grant = this.#grant;
    const isGood =
      "url" in push && grant?.url === push.url && grant.origin === push.handshakeOrigin;
    return isGood ? grant : undefined;
  }
}
