import type { EngineKind } from "./engine.ts";

export interface DrillRecord {
  readonly ok: boolean;
  readonly id: string;
  readonly app: string;
  readonly engine: EngineKind;
  readonly database: string;
  readonly backup: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** The instant of the last commit in the copy; null when it holds none since its base. */
  readonly recoveredTo: string | null;
  readonly seconds: {
    readonly fetch: number;
    readonly restore: number;
    readonly replay: number;
    readonly checks: number;
    readonly total: number;
  };
  readonly checks: readonly { name: string; ok: boolean; message: string }[];
}
