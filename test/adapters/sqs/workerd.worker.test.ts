/** The SQS door inside the Workers runtime, through the unmodified SDK as it runs there. */
import { insideServer } from "../../conformance/inside.ts";
import { sqsSuite } from "./suite.ts";

const server = insideServer();

sqsSuite(() => server, false);
