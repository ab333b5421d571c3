/** Preloaded with `--import`: plants the bug that MUTATION names while its file is loaded. The file on disk stays as it is. */
import { registerHooks } from "node:module";
import { MUTATIONS } from "./list.ts";

const mutation = MUTATIONS.find(({ name }) => name === process.env["MUTATION"]);

if (mutation !== undefined)
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.endsWith(`/${mutation.file}`)) return loaded;
      const source =
        typeof loaded.source === "string" ? loaded.source : new TextDecoder().decode(loaded.source);
      const parts = source.split(mutation.from);
      if (parts.length !== 2) throw new Error(`${mutation.name}: found ${parts.length - 1} times`);
      return { ...loaded, source: parts.join(mutation.to) };
    },
  });
