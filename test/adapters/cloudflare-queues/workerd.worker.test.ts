/** The Cloudflare Queues door inside the Workers runtime, through the unmodified client as it runs there. */
import { insideServer } from "../../conformance/inside.ts";
import { cloudflareQueuesSuite } from "./suite.ts";

const server = insideServer();

cloudflareQueuesSuite(() => server);
