export type {
  ConfiguredCheck,
  ConfiguredSqlite,
  LifeboatConfig,
  SchemaModule,
  Text,
} from "./configuration.ts";
export { defineConfig } from "./configuration.ts";
export { type CommandInit, main } from "./main.ts";
export { type StagedCommand, stageCommand } from "./stage.ts";
