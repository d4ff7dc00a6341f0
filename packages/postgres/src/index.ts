export { type Account, accountMay, namedAccount, runAs, serverAccount } from "./account.ts";
export { type ClusterInit, initialiseCluster, startOnFreePort } from "./cluster.ts";
export type { ServerConnection } from "./connection.ts";
export { type PostgresDetails, postgresDetails } from "./details.ts";
export { type PostgresEngineInit, postgresEngine } from "./engine.ts";
export { leastPrivilegeScript, type RoleScript, roleOf } from "./least-privilege.ts";
export {
  findPrograms,
  hasProgram,
  installations,
  type ProgramName,
  type ProgramsRequest,
  programPath,
  type ServerPrograms,
} from "./programs.ts";
export { Scratch } from "./scratch.ts";
export { Server, type ServerInit } from "./server.ts";
export { type ReachablePrograms, reachablePrograms } from "./staging.ts";
