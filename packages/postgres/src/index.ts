export {
  RECEIVE_SLOT,
  type ReceivedWal,
  type ReceiveWal,
  receiveWal,
} from "./archive/receive-wal.ts";
export type { ServerConnection } from "./connection/connection.ts";
export { type PostgresDetails, postgresDetails } from "./details.ts";
export { type PostgresEngineInit, postgresEngine } from "./engine.ts";
export { localDataDirectory } from "./facts/local-data-directory.ts";
export { type Account, accountMay, namedAccount, runAs, serverAccount } from "./files/account.ts";
export { type DumpRequest, postgresDumpSource } from "./logical/dump-source.ts";
export type { DumpOrigin } from "./logical/fetch-dump.ts";
export { type ImportDump, type ImportReport, importDump } from "./logical/import-dump.ts";
export { unboundedSlots } from "./preflight/slot-findings.ts";
export { leastPrivilegeScript, type RoleScript, roleOf } from "./rights/least-privilege.ts";
export { scriptRole } from "./rights/script-role.ts";
export { type ClusterInit, initialiseCluster, startOnFreePort } from "./server/cluster.ts";
export {
  findPrograms,
  hasProgram,
  installations,
  type ProgramName,
  type ProgramsRequest,
  programPath,
  type ServerPrograms,
} from "./server/programs.ts";
export { Scratch } from "./server/scratch.ts";
export {
  type ScratchCluster,
  type ScratchClusterRequest,
  startScratchCluster,
} from "./server/scratch-cluster.ts";
export { Server, type ServerInit } from "./server/server.ts";
export { controlProgram, startLine, stopLine } from "./server/server-line.ts";
export { type ReachablePrograms, reachablePrograms } from "./server/staging.ts";
export { dropSlot, listSlots } from "./slots/drop-slot.ts";
export type { SlotState, SlotVerdict } from "./slots/slots.ts";
export { type MadeStandby, type MakeStandby, makeStandby } from "./standby/make-standby.ts";
export { type RemovedStandby, removeStandby } from "./standby/remove-standby.ts";
export {
  awaitStreaming,
  bringUpStandby,
  type StartStandby,
  startStandby,
} from "./standby/start-standby.ts";
export { assertSlotName } from "./wal/receive-slot.ts";
