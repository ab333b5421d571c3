/** The conformance suite inside the Workers runtime. */
import { insideTarget } from "./inside.ts";
import { conformance } from "./suite.ts";

conformance(insideTarget());
