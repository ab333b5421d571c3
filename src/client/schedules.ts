/** Schedules, which send a message by the calendar: `mq.schedules`. */
import { expectArgument } from "./argument.ts";
import type { ScheduleRule, ScheduleRun, SchedulePending } from "../protocol/scheduling.ts";
import type { CallOptions, Http } from "./http.ts";
import { Listing, type ListOptions } from "./listing.ts";
import { messageText, type OutgoingMessage } from "./outgoing.ts";
import { path } from "./path.ts";

/** A message that is sent again and again: what would hold for one run only is not in it. */
export type ScheduledMessage<T = unknown> = OutgoingMessage<T> & {
  readonly deliverAt?: never;
  readonly expiresAt?: never;
  readonly dedupId?: never;
  readonly producer?: never;
};

/** What `PUT` of a schedule takes: all of it, each time. */
export interface ScheduleInput<T = unknown> {
  /** An unknown topic is made, as by a send; one that is deleted later is not. */
  readonly topic: string;
  /** Five fields, six with seconds in front, or a nickname such as `@daily`. */
  readonly cron: string;
  /** By its name in the IANA database. Default `UTC`. */
  readonly timeZone?: string;
  readonly message: ScheduledMessage<T>;
  /**
   * What becomes of runs that the broker could not send in time: `skip` leaves out those that are more than a minute late, `once` sends
   * one for all of them, the latest. Default `skip`.
   */
  readonly missed?: "skip" | "once";
}

/** A schedule as the broker shows it. */
export interface Schedule extends ScheduleRule {
  readonly name: string;
  /** As it goes over the wire: `body`, or `bodyBase64`. */
  readonly message: Readonly<Record<string, unknown>>;
  readonly paused: boolean;
  readonly createdAt: number;
  /** Absent while paused. */
  readonly nextRunAt?: number;
  /** A run that has begun, and is tried again until it ends. */
  readonly pendingRun?: SchedulePending;
  /** How the last run ended. */
  readonly lastRun?: ScheduleRun;
}

export class Schedules {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /**
   * Sets a schedule; one that is paused stays so. A new cron or time zone counts from now.
   * Rejects with `invalid_request` (`field`), `message_too_large` or `topic_not_found`.
   */
  put<T>(name: string, schedule: ScheduleInput<T>, options: CallOptions = {}): Promise<Schedule> {
    expectArgument("schedule", schedule, "object");
    const { message, ...rule } = schedule;
    const text = `${JSON.stringify(rule).slice(0, -1)},"message":${messageText(message)}}`;
    return this.#http.call({ method: "PUT", path: base(name), text, ...options });
  }

  /** Rejects with `schedule_not_found`. */
  get(name: string, options: CallOptions = {}): Promise<Schedule> {
    return this.#http.call({ method: "GET", path: base(name), ...options });
  }

  /** All of them, oldest first: `for await`, or page by page. */
  list(options: ListOptions = {}): Listing<Schedule> {
    return new Listing(this.#http, "/v1/schedules", options);
  }

  /** Rejects with `schedule_not_found`. A run that is under way may still be sent. */
  async delete(name: string, options: CallOptions = {}): Promise<void> {
    await this.#http.call({ method: "DELETE", path: base(name), ...options });
  }

  /** Nothing is sent until `resume`; runs that come due meanwhile are left out. Rejects with `schedule_not_found`. */
  pause(name: string, options: CallOptions = {}): Promise<Schedule> {
    return this.#http.call({ method: "POST", path: `${base(name)}/pause`, json: {}, ...options });
  }

  /** Rejects with `schedule_not_found`. */
  resume(name: string, options: CallOptions = {}): Promise<Schedule> {
    return this.#http.call({ method: "POST", path: `${base(name)}/resume`, json: {}, ...options });
  }
}

const base = (name: string): string => path`/v1/schedules/${name}`;
