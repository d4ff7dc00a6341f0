/**
 * Settings under which a restored copy is brought to life in private: it recovers as it would for
 * its owner, and nothing that it does reaches the original, its archive, or anyone else. They are
 * given on the server's command line, so that the copy's own files stay as they were restored.
 */
export function privateSettings(init: {
  readonly major: number;
  readonly restoreCommand: string;
  readonly hbaFile: string;
  readonly identFile: string;
  readonly preload: readonly string[];
}): Record<string, string> {
  return {
    hba_file: init.hbaFile,
    ident_file: init.identFile,
    restore_command: init.restoreCommand,
    recovery_target_action: "promote",
    recovery_end_command: "",
    archive_cleanup_command: "",
    recovery_min_apply_delay: "0",
    // A drill's timeline must not turn up in the archive: the next recovery would follow it.
    archive_mode: "off",
    primary_conninfo: "",
    primary_slot_name: "",
    synchronous_standby_names: "",
    max_wal_senders: "0",
    // Subscriptions of the original would drain its publishers' slots; workers of extensions
    // (pg_cron and its like) would run its jobs a second time.
    max_logical_replication_workers: "0",
    max_worker_processes: "0",
    max_parallel_workers: "0",
    shared_preload_libraries: init.preload.join(","),
    session_preload_libraries: "",
    local_preload_libraries: "",
    // Of names without a folder only the installation's own libraries are meant.
    dynamic_library_path: "$libdir",
    jit_provider: "llvmjit",
    ssl_passphrase_command: "",
    zero_damaged_pages: "off",
    ignore_checksum_failure: "off",
    ...(init.major >= 17 ? { event_triggers: "off" } : {}),
    // With hot standby the server would stop half-way when the original was given more connections
    // during the time that is replayed (manual, 27.4.3). Nobody reads from it before the end anyway.
    hot_standby: "off",
    ssl: "off",
    autovacuum: "off",
    jit: "off",
    huge_pages: "off",
    shared_buffers: "128MB",
    log_min_messages: "warning",
    log_startup_progress_interval: "1s",
  };
}
