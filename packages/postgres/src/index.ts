export { type Account, accountMay, namedAccount, runAs, serverAccount } from "./account.ts";
export { type ClusterInit, initialiseCluster, startOnFreePort } from "./cluster.ts";
export type { ServerConnection } from "./connection.ts";
export { type PostgresDetails, postgresDetails } from "./details.ts";
export { dropSlot, listSlots } from "./drop-slot.ts";
export { type PostgresEngineInit, postgresEngine } from "./engine.ts";
export { leastPrivilegeScript, type RoleScript, roleOf } from "./least-privilege.ts";
export { localDataDirectory } from "./local-data-directory.ts";
export { type DumpRequest, postgresDumpSource } from "./logical/dump-source.ts";
export type { DumpOrigin } from "./logical/fetch-dump.ts";
export { type ImportDump, type ImportReport, importDump } from "./logical/import-dump.ts";
export {
  findPrograms,
  hasProgram,
  installations,
  type ProgramName,
  type ProgramsRequest,
  programPath,
  type ServerPrograms,
} from "./programs.ts";
export { RECEIVE_SLOT, type ReceivedWal, type ReceiveWal, receiveWal } from "./receive-wal.ts";
export { Scratch } from "./scratch.ts";
export {
  type ScratchCluster,
  type ScratchClusterRequest,
  startScratchCluster,
} from "./scratch-cluster.ts";
export { scriptRole } from "./script-role.ts";
export { Server, type ServerInit } from "./server.ts";
export { controlProgram, startLine, stopLine } from "./server-line.ts";
export { unboundedSlots } from "./slot-findings.ts";
export type { SlotState, SlotVerdict } from "./slots.ts";
export { type ReachablePrograms, reachablePrograms } from "./staging.ts";
export { type MadeStandby, type MakeStandby, makeStandby } from "./standby/make-standby.ts";
export { type RemovedStandby, removeStandby } from "./standby/remove-standby.ts";
export {
  awaitStreaming,
  bringUpStandby,
  type StartStandby,
  startStandby,
} from "./standby/start-standby.ts";
export { assertSlotName } from "./wal/receive-slot.ts";
