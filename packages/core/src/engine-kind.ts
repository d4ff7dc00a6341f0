/** What a product keeps its rows in. */
export type EngineKind = "sqlite" | "postgres";
