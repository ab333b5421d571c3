/**
 * A door: another system's protocol in front of the same broker. What each is given of the world, and how the Worker asks it.
 * A door joins the road at the broker's verbs; it never touches an object, and knows no other door.
 */
import type { Principal } from "../auth/principal.ts";
import type { Broker } from "../broker/broker.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Outcome } from "../protocol/errors.ts";

/** What a door needs of the world, beside its own way to know who asks. */
export interface DoorEdge {
  readonly broker: Broker;
  /** Whether the key's own limits let it send so many messages now. */
  readonly admit: (caller: Principal, messages: number) => Promise<Outcome<undefined>>;
  readonly clock: Clock;
  readonly newRequestId: () => string;
  readonly log: Log;
}

/** Work that goes on although the client is gone. */
export type Outlive = (work: Promise<unknown>) => void;

export interface Door {
  /** Judged by method, path and headers alone. Paths under `/v1/` are the native API's and never shown. */
  takes(request: Request): boolean;
  /** Always an answer; what nobody foresaw is logged and told in the door's own words. */
  answer(request: Request, outlive: Outlive): Promise<Response>;
}

/**
 * The door that takes a request; none: it is for the native API. So is what came with a Host that makes no URL, such as `[`: workerd
 * hands it on as it stands, a door would throw at it, and the native API reads nothing of it but the path.
 */
export function doorOf(doors: readonly Door[], request: Request): Door | undefined {
  const { url } = request;
  if (url.startsWith("/v1/", url.indexOf("/", url.indexOf("://") + 3))) return undefined;
  if (!URL.canParse(url)) return undefined;
  return doors.find((door) => door.takes(request));
}
