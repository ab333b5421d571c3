/** Alibaba Cloud's unmodified SDK at work inside the Workers runtime, as the server is. */
import { insideServer } from "../../conformance/inside.ts";
import { withSockets } from "./sockets.worker.ts";
import { rocketmqSuite } from "./suite.ts";

const { url, key: rootKey } = insideServer();
withSockets();

rocketmqSuite(() => ({ url, rootKey }), {
  "an endpoint with a slash at its end works":
    "the runtime's HTTP client takes //topics for the name of a host.",
});
