/**
 * The Durable Object of a group that is streamed: a shell that gives the gateway its sockets, storage, clock and ports. The
 * sockets hibernate: while nothing is held and nothing comes, no memory is kept. Only the Worker reaches it.
 */
import { DurableObject } from "cloudflare:workers";
import { largeBodiesOf } from "../bodies/large-bodies.ts";
import { systemClock } from "../platform/clock.ts";
import { log } from "../platform/log.ts";
import { base64url } from "../platform/random.ts";
import { callObject } from "../platform/stub.ts";
import { accept, type Outcome } from "../protocol/errors.ts";
import {
  type Env,
  type GatewayRpc,
  type GroupSeat,
  type KeyMark,
  queueObjectName,
  type QueueRpc,
  registryObjectName,
  type RegistryRpc,
  STREAM_PROTOCOL,
  type StreamOpening,
} from "../protocol/rpc.ts";
import { Gateway } from "./gateway.ts";
import type { Ports, Socket } from "./ports.ts";
import type { Attached } from "./session.ts";

const CALL_TIMEOUT_MS = 10_000;
/** What a socket that broke off is closed with. */
const ABNORMAL = 1006;
/** RFC 6455, 7.4: without a meaning, or what stands for no code, for no Close at all, and for a failed handshake of TLS. */
const UNSENDABLE: ReadonlySet<number> = new Set([1004, 1005, ABNORMAL, 1015]);
const isSendable = (code: number): boolean => code >= 1000 && code < 5000 && !UNSENDABLE.has(code);

type Rpc<K extends keyof GatewayRpc> = ReturnType<GatewayRpc[K]>;
type Args<K extends keyof GatewayRpc> = Parameters<GatewayRpc[K]>;

export class GatewayObject extends DurableObject<Env> implements GatewayRpc {
  readonly #gateway: Gateway;
  readonly #sockets = new Map<WebSocket, Socket>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    // Answered by the runtime, without waking anybody: a client sees that its line lives.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    this.#gateway = new Gateway(this.#ports());
  }

  /** A socket that the Worker has let in; `StreamOpening` stands in the query. */
  override async fetch(request: Request): Promise<Response> {
    const asked = new URL(request.url).searchParams.get("opening") ?? "{}";
    const { consumerId, key, protocol, ...at } = JSON.parse(asked) as StreamOpening;
    const admitted = await this.#gateway.admit(at);
    // To the Worker alone, which makes an answer of it as of any other refusal.
    if (!admitted.ok) return Response.json(admitted);
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    this.#gateway.join(this.#socketOf(server), { consumerId, key });
    const headers = protocol ? { "sec-websocket-protocol": STREAM_PROTOCOL } : {};
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): Promise<void> {
    return this.#gateway.hear(this.#socketOf(socket), frame);
  }

  override webSocketClose(socket: WebSocket, code: number): Promise<void> {
    const left = this.#leave(socket, code);
    // Before anything is awaited: the other end waits for its goodbye to be answered.
    answerClose(socket, code);
    return left;
  }

  override webSocketError(socket: WebSocket): Promise<void> {
    return this.#leave(socket, ABNORMAL);
  }

  override alarm(): Promise<void> {
    return this.#gateway.alarm();
  }

  ring(...args: Args<"ring">): Rpc<"ring"> {
    return this.#gateway.ring(...args);
  }

  ended(...args: Args<"ended">): Rpc<"ended"> {
    return this.#gateway.ended(...args);
  }

  #leave(socket: WebSocket, code: number): Promise<void> {
    const left = this.#gateway.leave(this.#socketOf(socket), code);
    this.#sockets.delete(socket);
    return left;
  }

  /** One of these per socket and life: the gateway knows a socket by it. */
  #socketOf(socket: WebSocket): Socket {
    let known = this.#sockets.get(socket);
    if (known === undefined) {
      known = socketOver(socket);
      this.#sockets.set(socket, known);
    }
    return known;
  }

  #ports(): Ports {
    const { ctx, env } = this;
    const { kv } = ctx.storage;
    return {
      queue: ({ namespace, topic }, queue, call) =>
        callObject(
          () => env.QUEUE.getByName(queueObjectName(namespace, topic, queue)) as QueueRpc,
          call,
          { timeoutMs: CALL_TIMEOUT_MS },
        ),
      bodies: largeBodiesOf(env),
      seat: (at) => seatOf(env, at),
      isGood: (namespace, key) => isGood(env, namespace, key),
      sockets: () => ctx.getWebSockets().map((socket) => this.#socketOf(socket)),
      keepSeat: (seat) => kv.put("seat", seat),
      keptSeat: () => kv.get<GroupSeat>("seat"),
      setAlarm: (atMs) => void ctx.storage.setAlarm(atMs),
      erase: () => void ctx.storage.deleteAll(),
      clock: systemClock,
      log,
    };
  }
}

async function isGood(env: Env, namespace: string, key: KeyMark): Promise<Outcome<boolean>> {
  const found = await callObject(
    () => env.REGISTRY.getByName(registryObjectName(namespace)) as RegistryRpc,
    (registry) => registry.keyHash(key.name),
    { timeoutMs: CALL_TIMEOUT_MS },
  );
  if (!found.ok) return found.code === "key_not_found" ? accept(false) : found;
  return accept(base64url(found.value.hash) === key.hash);
}

async function seatOf(
  env: Env,
  { namespace, topic, group: name }: { namespace: string; topic: string; group: string },
): Promise<Outcome<GroupSeat | undefined>> {
  const found = await callObject(
    () => env.REGISTRY.getByName(registryObjectName(namespace)) as RegistryRpc,
    (registry) => registry.topic(topic, false),
    { timeoutMs: CALL_TIMEOUT_MS },
  );
  if (!found.ok) return found.code === "topic_not_found" ? accept(undefined) : found;
  const { incarnation, version, settings, groups } = found.value;
  const group = groups.find((each) => each.name === name);
  if (group === undefined) return accept(undefined);
  const stamp = { incarnation, version };
  return accept({ namespace, topic, stamp, queues: settings.queues, group });
}

/** RFC 6455, 5.5.1: a Close is answered by one. A code that cannot be sent stands for none. */
function answerClose(socket: WebSocket, code: number): void {
  try {
    if (isSendable(code)) socket.close(code);
    else socket.close();
  } catch {
    // This end closed first, or the line is gone.
  }
}

function socketOver(socket: WebSocket): Socket {
  return {
    send: (text) => {
      try {
        socket.send(text);
      } catch {
        // It is gone: its close comes, or came, as an event of its own.
      }
    },
    close: (code, reason) => {
      try {
        socket.close(code, reason);
      } catch {
        // Closed already.
      }
    },
    attached: () => socket.deserializeAttachment() as Attached,
    attach: (attached) => socket.serializeAttachment(attached),
  };
}
