import type { Engine } from "./engine.ts";
import type { EngineKind } from "./engine-kind.ts";
import { LifeboatError } from "./errors.ts";

/** The engine of a kind among those at hand. */
export function engineOf(engines: readonly Engine[], kind: EngineKind): Engine {
  const engine = engines.find((each) => each.kind === kind);
  if (engine) return engine;
  throw new LifeboatError({
    code: "ENGINE_UNKNOWN",
    message: `this Lifeboat has no engine for ${kind}`,
    remedy: "use the Lifeboat that took the backup, or a newer one",
  });
}

/** Its databases by the configuration; none where only the repository is at hand. */
export async function configuredDatabases(engine: Engine): Promise<readonly string[]> {
  try {
    return await engine.databases();
  } catch (thrown) {
    if (thrown instanceof LifeboatError && thrown.code === "ENGINE_NOT_CONFIGURED") return [];
    throw thrown;
  }
}
