/**
 * The Worker's entry: exports the Durable Object classes and answers fetch. Wiring only; it never decides anything.
 */
import { DurableObject } from "cloudflare:workers";

export class QueueObject extends DurableObject {}

export class RegistryObject extends DurableObject {}

export class CoordinatorObject extends DurableObject {}

interface Env {
  readonly HALFMQ_VERSION?: string;
}

export default {
  fetch(request: Request, env: Env): Response {
    if (new URL(request.url).pathname === "/v1/health") {
      return Response.json({ status: "ok", version: env.HALFMQ_VERSION ?? "dev" });
    }
    return new Response(null, { status: 404 });
  },
};
